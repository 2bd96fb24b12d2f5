# SPDX-License-Identifier: Apache-2.0
"""The files that rows work on, made on the host before anything is measured."""
import io
import os
import shutil
import subprocess
import tarfile
import zipfile

GIT = ["git", "-c", "user.name=bench", "-c", "user.email=bench@localhost", "-c", "gc.auto=0"]


def put(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as out:
        out.write(text)


def base(work, scale):
    """What the subjects look for; always there."""
    put(f"{work}/one", "x" * 4096)
    os.symlink("one", f"{work}/link")
    put(f"{work}/1MiB", "x" * (1 << 20))
    for i in range(1000):
        put(f"{work}/names/name-{i:04}", "")


def repo(work, scale):
    for i in range(200 * scale):
        put(f"{work}/repo/d{i % 20}/f{i}.txt", f"file {i}\n" * 20)
    for args in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "all"]):
        subprocess.run(GIT + args, cwd=f"{work}/repo", check=True)


def c(work, scale):
    """A program of 50 files, each including what a real one does."""
    for i in range(10 * scale):
        put(f"{work}/c/f{i}.c", f"""#include <stdio.h>
#include <stdlib.h>
#include <string.h>
int f{i}(int n);
int f{i}(int n)
{{
    char *text = malloc((size_t)n + 1);
    memset(text, 'x', (size_t)n);
    text[n] = 0;
    int r = (int)strlen(text) + printf("%d\\n", n);
    free(text);
    return r;
}}
""")
    put(f"{work}/c/Makefile", """objects = $(patsubst %.c,%.o,$(wildcard f*.c))
all: $(objects)
%.o: %.c
\tgcc -O1 -c $< -o $@
clean:
\trm -f $(objects)
""")


def tarball(work, scale):
    """A package for npm, of 100 files."""
    with tarfile.open(f"{work}/thing-1.0.0.tgz", "w:gz") as tar:
        for name, text in [("package.json", '{"name": "thing", "version": "1.0.0"}')] + [
                (f"lib/f{i}.js", f"module.exports = {i};\n" * 20) for i in range(20 * scale)]:
            info = tarfile.TarInfo(f"package/{name}")
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))


def wheel(work, scale):
    """A package for pip, of 100 modules."""
    info = "thing-1.0.dist-info"
    files = {f"thing/m{i}.py": f"value = {i}\n" * 20 for i in range(20 * scale)}
    files["thing/__init__.py"] = ""
    files[f"{info}/METADATA"] = "Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n"
    files[f"{info}/WHEEL"] = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(f"{work}/thing-1.0-py3-none-any.whl", "w") as out:
        for name, text in files.items():
            out.writestr(name, text)


def tree(work, scale):
    for i in range(1000 * scale):
        put(f"{work}/tree/d{i % 50}/f{i}", "x" * (i % 4000))
    with tarfile.open(f"{work}/tree.tar", "w") as tar:
        tar.add(f"{work}/tree", "tree")


def many(work, scale):
    for i in range(4000 * scale):
        put(f"{work}/many/d{i % 200}/f{i}", "")


def sql(work, scale):
    table = "CREATE TABLE t (k INTEGER PRIMARY KEY, v TEXT);\n"
    insert = "INSERT INTO t (v) VALUES ('value {}');\n"
    put(f"{work}/one.sql", table + "BEGIN;\n" +
        "".join(insert.format(i) for i in range(20000 * scale)) + "COMMIT;\n")
    put(f"{work}/each.sql", table + "".join(insert.format(i) for i in range(200 * scale)))


def prepare(work, names, quick):
    """Makes the directory anew, with the base and the fixtures of these names."""
    shutil.rmtree(work, ignore_errors=True)
    for name in ["base"] + sorted(set(names)):
        globals()[name](work, 1 if quick else 5)
