#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Node: worker threads, child processes, http over the loopback, files, timers; npm of a local tarball.
command -v node >/dev/null || { echo "node is missing"; exit 77; }
set -e
cat >t.js <<'EOF'
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
const { execFileSync, spawn, fork } = require('child_process');
const http = require('http'), fs = require('fs'), zlib = require('zlib'), crypto = require('crypto');
if (!isMainThread) {
  let s = 0; for (let i = 0; i < 1e6; i++) s += i % workerData; parentPort.postMessage(s);
} else if (process.argv[2] === 'child') {
  process.on('message', (m) => { process.send(m * 2); process.disconnect(); });
} else (async () => {
  const work = (n) => new Promise((ok, no) => new Worker(__filename, { workerData: n }).on('message', ok).on('error', no));
  console.log('workers', await Promise.all([3, 5, 7].map(work)));
  console.log('exec', execFileSync('echo', ['sub']).toString().trim());
  const c = spawn('sh', ['-c', 'cat; exit 4']); let out = '';
  c.stdout.on('data', (d) => out += d); c.stdin.end('piped');
  console.log('spawn', await new Promise((ok) => c.on('close', ok)), out);
  const f = fork(__filename, ['child']); f.send(21);
  console.log('fork', await new Promise((ok) => f.on('message', ok)));
  const s = http.createServer((q, r) => { r.end('path ' + q.url); }); await new Promise((ok) => s.listen(0, '127.0.0.1', ok));
  const body = await new Promise((ok, no) => http.get({ port: s.address().port, path: '/x', host: '127.0.0.1' }, (r) => {
    let b = ''; r.on('data', (d) => b += d); r.on('end', () => ok(b)); }).on('error', no));
  console.log('http', body); s.close();
  await fs.promises.writeFile('f', 'x'.repeat(100000)); console.log('file', (await fs.promises.stat('f')).size);
  console.log('zlib', zlib.gunzipSync(zlib.gzipSync('data')).toString(), crypto.createHash('sha1').update('a').digest('hex'));
  fs.mkdirSync('d/e', { recursive: true }); fs.renameSync('f', 'd/e/f'); console.log(fs.readdirSync('d/e'));
  await new Promise((ok) => setTimeout(ok, 10)); console.log('timer', process.platform, process.argv.length);
  process.exitCode = 5;
})();
EOF
node t.js || echo "status $?"
command -v npm >/dev/null || exit 0
mkdir -p pkg app && cd pkg
echo '{"name":"tiny","version":"1.0.0","main":"i.js"}' >package.json && echo 'module.exports = "from npm";' >i.js
npm pack --silent && cd ../app && echo '{"name":"app","version":"1.0.0"}' >package.json
npm install --offline --no-audit --no-fund --silent ../pkg/tiny-1.0.0.tgz && node -p 'require("tiny")'
