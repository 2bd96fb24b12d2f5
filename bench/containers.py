# SPDX-License-Identifier: Apache-2.0
"""As an OCI runtime, beside others: what a container costs to start, to keep, and to enter."""
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from functools import partial

import measure
import report

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, f"{os.path.dirname(HERE)}/tests/oci")

import bundle  # noqa: E402: the tests' tree of busybox

IDLE_S = 1.0


class Runtime:
    """One runtime, with a root for its states."""

    def __init__(self, name, command, top):
        self.name, self.command = name, shlex.split(command)
        self.root = f"{top}/state-{name}"
        self.count = 0
        self.bundle = f"{top}/bundle-{name}"
        self.why = "" if shutil.which(self.command[0]) else f"there is no {self.command[0]}"

    def id(self):
        self.count += 1
        return f"bench-{self.name}-{os.getpid()}-{self.count}"

    def spec(self, *args):
        with open(f"{self.bundle}/config.json") as f:
            spec = json.load(f)
        spec["process"]["args"] = list(args)
        with open(f"{self.bundle}/config.json", "w") as f:
            json.dump(spec, f)

    def __call__(self, *args):
        """Its standard streams are files: who waits for the end of a pipe waits for the container's."""
        with open(f"{self.bundle}/out", "w+") as out:
            r = subprocess.run([*self.command, "--root", self.root, *args], stdin=subprocess.DEVNULL,
                               stdout=out, stderr=out, timeout=60)
            out.seek(0)
            if r.returncode:
                text = out.read().strip().splitlines()
                raise ChildProcessError(f"{args[0]}: {(text or ['no word'])[-1]}")


def milliseconds(what):
    begin = time.perf_counter()
    what()
    return (time.perf_counter() - begin) * 1e3


def direct(rt):
    """create, start, wait and delete, by one command."""
    rt.spec("true")
    return {"run": (milliseconds(lambda: rt("run", "--bundle", rt.bundle, rt.id())), "ms")}


def stepwise(rt):
    """As callers do it; the last one does not wait for the program."""
    rt.spec("sleep", "60")
    ident = rt.id()

    def steps():
        rt("create", "--bundle", rt.bundle, ident)
        rt("start", ident)
        rt("delete", "--force", ident)
    return {"create-start-delete": (milliseconds(steps), "ms")}


def idle(rt):
    """A sleeping container: all processes that it left, which have become ours."""
    rt.spec("sleep", "60")
    ident, before = rt.id(), set(measure.descendants(os.getpid()))
    rt("create", "--bundle", rt.bundle, ident)
    try:
        rt("start", ident)
        time.sleep(IDLE_S)
        pids = [pid for pid in measure.descendants(os.getpid()) if pid not in before]
        pss = measure.pss(pids)
        figures = {"idle-tasks": (len(measure.tasks(pids)), "")}
        if pss is not None:
            figures["idle-pss"] = (pss / 1024, "MiB")
        entered = milliseconds(lambda: rt("exec", ident, "true"))
        return {**figures, "exec": (entered, "ms")}
    finally:
        rt("delete", "--force", ident)


def docker_rows(docker, rt):
    def run(*args):
        r = docker(*args)
        if r.returncode:
            raise ChildProcessError(r.stderr.strip().splitlines()[-1])
    name = ["--runtime", rt.name]
    ident = f"bench-{rt.name}"
    figures = {"docker-run": (milliseconds(lambda: run("run", "--rm", "--network=none", *name, "box", "true")), "ms")}
    run("run", "-d", "--network=none", *name, "--name", ident, "box", "sleep", "60")
    try:
        figures["docker-exec"] = (milliseconds(lambda: run("exec", ident, "true")), "ms")
    finally:
        run("rm", "-f", ident)
    return figures


def take(table, rt, row, what, failures):
    """What has failed once is not asked again."""
    if (rt.name, row) in failures:
        return
    try:
        figures = what()
    except (ChildProcessError, subprocess.TimeoutExpired) as error:
        failures.add((rt.name, row))
        print(f"failed: {row} under {rt.name}: {error}", file=sys.stderr)
        return
    for name, (value, unit) in figures.items():
        line = table.setdefault(name, report.Line("containers", name, unit))
        cell = line.cells.setdefault(rt.name, report.Cell())
        cell.values.append(value)
        cell.cpu.append(0)


def start_docker(args, chosen, tree):
    """A dockerd of our own with all of them; None, after a line that says why."""
    if not shutil.which("dockerd") or os.geteuid() != 0:
        print("left out: docker-run and docker-exec: dockerd is not here, or we are not root")
        return None
    import docker as tests_docker
    try:
        docker = tests_docker.Docker(args.sbx, {rt.name: rt.command for rt in chosen if rt.name != "sbx"})
    except SystemExit:
        print("left out: docker-run and docker-exec")
        return None
    tar = f"{docker.top}/tree.tar"
    subprocess.run(["tar", "-C", tree, "-cf", tar, "."], check=True)
    docker("import", tar, "box")
    return docker


def runtimes(args, top):
    known = {"sbx": f"{top}/sbx-oci", "runc": "runc", "crun": "crun"}
    if args.runsc:
        known["runsc"] = f"{args.runsc} --network=none --ignore-cgroups"
    for text in args.side:
        name, _, command = text.partition("=")
        known[name] = command
    os.symlink(args.sbx, f"{top}/sbx-oci")
    every = [Runtime(name, command, top) for name, command in known.items()
             if not args.sides or name in args.sides.split(",")]
    for rt in every:
        if rt.why:
            print(f"left out: {rt.name}: {rt.why}")
    return [rt for rt in every if not rt.why]


def write(directory, lines, names, about):
    """The table, shown and kept."""
    rows = [f"{'':20} {'':4}" + "".join(f"{name:>10}" for name in names)]
    for line in lines:
        cells = (line.cells.get(name) for name in names)
        rows.append(f"{line.name:20} {line.unit:4}" + "".join(f"{report.number(cell and cell.value):>10}" for cell in cells))
    print("\n".join(rows))
    os.makedirs(directory, exist_ok=True)
    with open(f"{directory}/containers.txt", "w") as f:
        f.write("\n".join(rows) + "\n")
    with open(f"{directory}/containers.json", "w") as f:
        json.dump({"about": about, "rows": [line.as_json(names) for line in lines]}, f, indent=1)


def main(args, about):
    """The table of all runtimes that are there, in turn; 1 when sbx failed."""
    measure.be_subreaper()
    top = tempfile.mkdtemp(prefix="bench-oci-")
    table, failures, docker = {}, set(), None
    try:
        chosen = runtimes(args, top)
        tree = bundle.rootfs(f"{top}/tree")
        for rt in chosen:
            os.makedirs(rt.bundle)
            subprocess.run([f"{top}/sbx-oci", "spec", "--bundle", rt.bundle], check=True)
            with open(f"{rt.bundle}/config.json") as f:
                spec = json.load(f)
            spec["ociVersion"] = "1.0.2"  # older ones of theirs know no newer
            spec["process"]["terminal"] = False
            spec["root"] = {"path": tree}
            with open(f"{rt.bundle}/config.json", "w") as f:
                json.dump(spec, f)
        docker = start_docker(args, chosen, tree)
        for _ in range(args.runs):
            for rt in chosen:
                for row in (direct, stepwise, idle):
                    take(table, rt, row.__name__, partial(row, rt), failures)
                if docker:
                    take(table, rt, "docker", partial(docker_rows, docker, rt), failures)
    finally:
        if docker:
            docker.stop()
        shutil.rmtree(top, ignore_errors=True)
    names = [rt.name for rt in chosen]
    lines = list(table.values())
    write(args.out, lines, names, about)
    return 1 if any(name == "sbx" for name, _ in failures) else 0
