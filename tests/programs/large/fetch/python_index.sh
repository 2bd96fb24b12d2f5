#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Wheels and a source archive, as a simple index.
set -eu
/usr/bin/python3 -m pip --version >/dev/null 2>&1 || { echo "python3-pip is missing"; exit 77; }
/usr/bin/python3 -m pip download -q --disable-pip-version-check --only-binary :all: -d files \
    flask requests attrs rich pydantic orjson uv setuptools wheel
/usr/bin/python3 -m pip download -q --disable-pip-version-check --no-deps --no-binary :all: --no-build-isolation -d files six
/usr/bin/python3 - <<'E'
import os, re
names = {}
for f in sorted(os.listdir("files")):
    names.setdefault(re.sub("[-_.]+", "-", re.match(r"(.*?)-\d", f)[1]).lower(), []).append(f)
os.makedirs("simple")
for name, files in names.items():
    os.mkdir("simple/" + name)
    open("simple/%s/index.html" % name, "w").write("".join('<a href="/files/%s">%s</a>\n' % (f, f) for f in files))
open("simple/index.html", "w").write("".join('<a href="%s/">%s</a>\n' % (n, n) for n in names))
E
