#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A virtual environment, and pip installing a local wheel into it.
/usr/bin/python3 -c 'import ensurepip, venv' 2>/dev/null || { echo "python3-venv is missing"; exit 77; }
set -e
/usr/bin/python3 - <<'EOF'
import zipfile
name = "tiny-1.0.dist-info"
with zipfile.ZipFile("tiny-1.0-py3-none-any.whl", "w") as z:
    z.writestr("tiny/__init__.py", "def hello():\n    return 'hello from a wheel'\n")
    z.writestr("tiny/__main__.py", "from . import hello\nprint(hello())\n")
    z.writestr(name + "/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
    z.writestr(name + "/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    z.writestr(name + "/RECORD", "tiny/__init__.py,,\ntiny/__main__.py,,\n%s/METADATA,,\n%s/WHEEL,,\n%s/RECORD,,\n" % (name, name, name))
EOF
/usr/bin/python3 -m venv env
. env/bin/activate
python -c 'import sys; print(sys.prefix != sys.base_prefix)'
pip install -q --no-index --disable-pip-version-check ./tiny-1.0-py3-none-any.whl
python -m tiny
pip list --disable-pip-version-check --format=freeze | grep tiny
pip uninstall -q -y tiny && python -c 'import tiny' 2>/dev/null || echo gone
