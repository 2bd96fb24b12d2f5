#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Node with libuv on io_uring: files by a ring that takes entries off itself, epoll_ctl in batches.
command -v node >/dev/null || { echo "node is missing"; exit 77; }
set -e
cat >t.js <<'EOS'
const fs = require('fs'), http = require('http');
(async () => {
  const one = async (i) => {
    const f = 'f' + i;
    await fs.promises.writeFile(f, String(i).repeat(i));
    const s = await fs.promises.stat(f), t = await fs.promises.readFile(f, 'utf8');
    await fs.promises.rename(f, f + 'b');
    await fs.promises.unlink(f + 'b');
    return s.size === t.length ? t.length : -1;
  };
  const sizes = await Promise.all([...Array(200).keys()].map(one));
  console.log('files', sizes.reduce((a, b) => a + b), fs.readdirSync('.').length);
  const err = await fs.promises.stat('missing').catch((e) => e.code);
  console.log('missing', err);
  const s = http.createServer((q, r) => r.end(q.url));
  await new Promise((ok) => s.listen(0, '127.0.0.1', ok));
  const get = async (i) => (await fetch(`http://127.0.0.1:${s.address().port}/${i}`)).text();
  console.log('http', (await Promise.all([...Array(50).keys()].map(get))).join(''));
  s.close();
  process.exit(0);
})();
EOS
UV_USE_IO_URING=1 node t.js
