#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# npm installs from a registry on the loopback (one package has C of ours, built by node-gyp); an Express application
# answers requests; TypeScript, esbuild and prettier work on files.
[ -d "$FETCHED/registry" ] || { echo "nothing was fetched"; exit 77; }
for need in node npm gcc make curl; do
    command -v $need >/dev/null || { echo "$need is missing"; exit 77; }
done
python3 -m http.server 18200 --bind 127.0.0.1 --directory "$FETCHED/registry" >/dev/null 2>&1 & W=$!
trap 'kill $W $P 2>/dev/null' EXIT
for _ in $(seq 50); do (: </dev/tcp/127.0.0.1/18200) 2>/dev/null && break; sleep 0.1; done
export npm_config_registry=http://127.0.0.1:18200/ npm_config_audit=false npm_config_fund=false npm_config_update_notifier=false npm_config_nodedir=/usr
mkdir addon app && cat >addon/a.c <<'E'
#include <node_api.h>
NAPI_MODULE_INIT() { napi_value v; napi_create_int32(env, 42, &v); napi_set_named_property(env, exports, "v", v); return exports; }
E
echo '{"targets":[{"target_name":"a","sources":["a.c"]}]}' >addon/binding.gyp; echo '{"name":"addon","version":"1.0.0","main":"build/Release/a.node"}' >addon/package.json
cd app && echo '{"name":"app","version":"1.0.0","scripts":{"hello":"echo hello from a script"}}' >package.json
npm install --silent express typescript lodash esbuild prettier ws 2>&1 | tail -5; npm ls --silent --all --parseable 2>/dev/null | wc -l
npm install --silent ../addon 2>&1 | tail -5; node -p 'require("addon").v'
npm run --silent hello; rm -rf node_modules; npm ci --silent 2>&1 | tail -5; ls node_modules | wc -l
echo 'const x: number = 7; export const f = (a: string): string => a + x;' >m.ts; npx tsc --module commonjs m.ts && node -p 'require("./m.js").f("a")'; echo 'const y: number = "a"' >n.ts; npx tsc --noEmit n.ts | cut -d: -f1
npx esbuild m.ts --bundle --minify --platform=node --log-level=error; echo "a( 1,2 )" | npx prettier --parser babel
cat >s.js <<'E'
const express = require('express'), { WebSocketServer, WebSocket } = require('ws'), app = express(), fs = require('fs');
app.use(express.json()); app.use('/files', express.static('.'));
app.get('/a/:x', (q, r) => r.json({ x: q.params.x, q: q.query })); app.post('/b', (q, r) => r.status(201).send(q.body)); app.get('/boom', () => { throw new Error('x'); });
app.get('/slow', (q, r) => { let i = 0; const t = setInterval(() => { r.write('tick\n'); if (++i === 3) { clearInterval(t); r.end(); } }, 20); });
const s = app.listen(18201, '127.0.0.1', () => console.log('up')); new WebSocketServer({ server: s }).on('connection', (w) => w.on('message', (m) => w.send('re: ' + m)));
process.on('SIGTERM', () => { console.log('bye'); s.closeAllConnections(); s.close(() => process.exit(0)); });
E
NODE_ENV=production node s.js 2>/dev/null & P=$!
for _ in $(seq 100); do curl -s -o ../out http://127.0.0.1:18201/a/1 && break; sleep 0.1; done
curl -s 'http://127.0.0.1:18201/a/7?k=v'; echo; curl -s -H content-type:application/json -d '{"b":[1]}' -w ' %{http_code}\n' http://127.0.0.1:18201/b; curl -s -o ../out -w '%{http_code}\n' http://127.0.0.1:18201/boom; curl -sN http://127.0.0.1:18201/slow; curl -s http://127.0.0.1:18201/files/m.ts
node -e 'const { WebSocket } = require("ws"), w = new WebSocket("ws://127.0.0.1:18201/"); w.on("open", () => w.send("hi")); w.on("message", (m) => { console.log(String(m)); w.close(); })'
seq 200 | xargs -P 8 -I{} curl -s -o /dev/null -w '%{http_code}\n' http://127.0.0.1:18201/a/{} | sort | uniq -c
kill $P; wait $P; echo "end $?"
