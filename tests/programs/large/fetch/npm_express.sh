#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Packages of npm, as the files of a registry.
set -eu
command -v npm >/dev/null || { echo "npm is missing"; exit 77; }
mkdir app files && cd app && echo '{"name":"app","version":"1.0.0","private":true}' >package.json
npm install --silent --ignore-scripts --no-audit --no-fund --cache ../cache express@4 typescript@5 lodash@4 esbuild@0.21 prettier@3 ws@8
cd ../files
npm pack --silent --cache ../cache $(node -p 'Object.entries(require("../app/package-lock.json").packages).filter(([k, v]) => k && !v.optional).map(([k, v]) => k.replace(/.*node_modules\//, "") + "@" + v.version).join(" ")') \
    "@esbuild/linux-x64@$(node -p 'require("../app/package-lock.json").packages["node_modules/esbuild"].version')" >/dev/null
cd .. && node - <<'E'
const fs = require('fs'), path = require('path'), cp = require('child_process'), crypto = require('crypto');
fs.mkdirSync('registry/-', { recursive: true });
const all = {};
for (const f of fs.readdirSync('files')) {
  const top = cp.execFileSync('tar', ['tzf', 'files/' + f], { maxBuffer: 1 << 26 }).toString().split('/')[0];
  const p = JSON.parse(cp.execFileSync('tar', ['xzOf', 'files/' + f, top + '/package.json']));
  const data = fs.readFileSync('files/' + f);
  p.dist = { tarball: 'http://127.0.0.1:18200/-/' + f, integrity: 'sha512-' + crypto.createHash('sha512').update(data).digest('base64'), shasum: crypto.createHash('sha1').update(data).digest('hex') };
  const d = all[p.name] = all[p.name] || { name: p.name, 'dist-tags': {}, versions: {} };
  d['dist-tags'].latest = p.version; d.versions[p.version] = p;
  fs.renameSync('files/' + f, 'registry/-/' + f);
}
for (const [name, d] of Object.entries(all)) { fs.mkdirSync(path.dirname('registry/' + name), { recursive: true }); fs.writeFileSync('registry/' + name, JSON.stringify(d)); }
console.log(Object.keys(all).length, 'packages');
E
rm -rf app cache files
