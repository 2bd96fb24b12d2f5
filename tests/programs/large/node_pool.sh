#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Node: pools of workers that share memory, a cluster of processes on one port, an addon in C that works on threads.
for need in node gcc; do
    command -v $need >/dev/null || { echo "$need is missing"; exit 77; }
done
[ -e /usr/include/node/node_api.h ] || { echo "node's headers are missing"; exit 77; }
cat >addon.c <<'E'
#include <node_api.h>
#include <stdlib.h>
#include <unistd.h>
struct work { napi_async_work w; napi_deferred d; int n; };
static void run(napi_env e, void *p) { struct work *w = p; (void)e; usleep(1000); w->n *= 2; }
static void done(napi_env e, napi_status s, void *p)
{
    struct work *w = p; napi_value v; (void)s;
    napi_create_int32(e, w->n, &v); napi_resolve_deferred(e, w->d, v); napi_delete_async_work(e, w->w); free(w);
}
static napi_value twice(napi_env e, napi_callback_info i)
{
    size_t n = 1; napi_value a, name, promise; struct work *w = calloc(1, sizeof *w);
    napi_get_cb_info(e, i, &n, &a, NULL, NULL); napi_get_value_int32(e, a, &w->n);
    napi_create_string_utf8(e, "twice", NAPI_AUTO_LENGTH, &name); napi_create_promise(e, &w->d, &promise);
    napi_create_async_work(e, NULL, name, run, done, w, &w->w); napi_queue_async_work(e, w->w);
    return promise;
}
NAPI_MODULE_INIT() { napi_value f; napi_create_function(env, "twice", NAPI_AUTO_LENGTH, twice, NULL, &f); napi_set_named_property(env, exports, "twice", f); return exports; }
E
gcc -shared -fPIC -I/usr/include/node -DBUILDING_NODE_EXTENSION -o addon.node addon.c && cat >t.js <<'E'
const { Worker, isMainThread, workerData, parentPort, MessageChannel } = require('worker_threads');
const cluster = require('cluster'), http = require('http'), fs = require('fs'), dns = require('dns'), net = require('net');
if (!isMainThread) {
  const a = new Int32Array(workerData.shared);
  for (let i = 0; i < 1000; i++) Atomics.add(a, 0, 1);
  Atomics.wait(a, 1, 0, 10000);
  parentPort.on('message', (n) => { let x = 0; for (let i = 2; i < n; i++) { let p = true; for (let j = 2; j * j <= i; j++) if (i % j === 0) { p = false; break; } x += p; } parentPort.postMessage(x); });
} else if (!cluster.isPrimary) {
  http.createServer((q, r) => r.end(String(process.pid))).listen(18120, '127.0.0.1');
} else (async () => {
  const shared = new SharedArrayBuffer(8), a = new Int32Array(shared);
  const pool = Array.from({ length: 6 }, () => new Worker(__filename, { workerData: { shared } }));
  await new Promise((ok) => { const t = setInterval(() => { if (a[0] === 6000) { clearInterval(t); ok(); } }, 5); });
  Atomics.store(a, 1, 1); Atomics.notify(a, 1);
  console.log('pool', a[0], await Promise.all(pool.map((w, i) => new Promise((ok) => { w.on('message', ok); w.postMessage(1000 * (i + 1)); }))));
  console.log('ended', await Promise.all(pool.map((w) => w.terminate())));
  const addon = require('./addon.node'); console.log('addon', await Promise.all([1, 2, 3, 4, 5, 6, 7, 8, 9].map(addon.twice)));
  for (let i = 0; i < 3; i++) cluster.fork();
  await new Promise((ok) => { let n = 0; cluster.on('listening', () => ++n === 3 && ok()); });
  const pids = new Set(); for (let i = 0; i < 30; i++) pids.add(await new Promise((ok, no) => http.get({ port: 18120, host: '127.0.0.1', agent: false }, (r) => { let b = ''; r.on('data', (d) => b += d); r.on('end', () => ok(b)); }).on('error', no)));
  console.log('cluster', pids.size); const w = Object.values(cluster.workers); w[0].process.kill('SIGKILL'); console.log(await new Promise((ok) => cluster.once('exit', (x, c, s) => ok([c, s]))));
  await new Promise((ok) => cluster.disconnect(ok));
  console.log('lookup', await dns.promises.lookup('localhost', { family: 4 }));
  await Promise.all(Array.from({ length: 100 }, (_, i) => fs.promises.writeFile('f' + i, 'x'.repeat(i)))); console.log('files', (await Promise.all(Array.from({ length: 100 }, (_, i) => fs.promises.stat('f' + i)))).reduce((s, x) => s + x.size, 0));
  const seen = await new Promise((ok) => { const v = fs.watch('.', (e, n) => { if (n === 'new') { v.close(); ok(e); } }); fs.writeFileSync('new', ''); }); console.log('watch', seen);
  const s = net.createServer((c) => c.pipe(c)).listen('sock'); await new Promise((ok) => s.on('listening', ok)); const c = net.connect('sock'); c.end('over a path'); let b = ''; for await (const d of c) b += d; s.close(); console.log('unix', b);
  await fs.promises.cp('.', '../copy', { recursive: true, filter: (p) => !p.includes('sock') }); console.log('copied', (await fs.promises.readdir('../copy')).length);
  console.log('heap', process.memoryUsage().rss > 1e6, process.resourceUsage().maxRSS > 0, require('os').cpus().length > 0, require('os').networkInterfaces().lo[0].address);
})();
E
node t.js; echo "status $?"; rm -rf ../copy
node --test --test-reporter=tap - <<<'const t=require("node:test"); t("one", () => {});' 2>&1 | grep -cE "^# pass|^ok"
NODE_V8_COVERAGE=cov node -e 1; ls cov | wc -l; node --cpu-prof --cpu-prof-dir=prof -e 'for(let i=0;i<1e7;i++);' && ls prof | wc -l
