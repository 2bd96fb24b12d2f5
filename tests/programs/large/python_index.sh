#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# pip and uv, installing from an index on the loopback: wheels, with C in them, and a source archive that is built.
[ -d "$FETCHED/simple" ] || { echo "nothing was fetched"; exit 77; }
python=/usr/bin/python3
$python -c 'import ensurepip, venv' 2>/dev/null || { echo "python3-venv is missing"; exit 77; }
$python -m http.server 18190 --bind 127.0.0.1 --directory "$FETCHED" >/dev/null 2>&1 & W=$!
trap 'kill $W' EXIT
for _ in $(seq 50); do (: </dev/tcp/127.0.0.1/18190) 2>/dev/null && break; sleep 0.1; done
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_INDEX_URL=http://127.0.0.1:18190/simple UV_INDEX_URL=http://127.0.0.1:18190/simple UV_PYTHON=$python UV_PYTHON_DOWNLOADS=never
$python -m venv a && a/bin/pip install -q flask requests attrs rich pydantic orjson uv 2>&1; echo "pip $?"
a/bin/pip install -q --no-binary six six 2>&1; echo "source $?"; a/bin/pip check; a/bin/pip list --format=freeze | wc -l
a/bin/python -c 'import six, orjson, pydantic, flask; print(orjson.dumps({"a": [1, 2]}), pydantic.TypeAdapter(int).validate_python("7"))'
cp a/bin/uv . && ./uv venv -q b && ./uv pip install -q --python b/bin/python flask requests rich pydantic orjson 2>&1; echo "uv $?"
./uv pip list -q --python b/bin/python --format freeze 2>/dev/null | grep -c ==; b/bin/python -c 'import flask, orjson; print(flask.Flask("x").test_client().get("/").status)'
./uv pip install -q --python b/bin/python --no-binary six six 2>&1; echo "source $?"; ./uv cache clean -q; echo "cache $?"
mkdir proj && cd proj && ../uv init -q --bare --name proj --python $python 2>&1; ../uv add -q attrs 2>&1; ../uv run -q python -c 'import attrs; print("run")' 2>&1; ../uv lock -q --check; echo "lock $?"; ../a/bin/pip install -q no-such-thing 2>&1 | tail -1
