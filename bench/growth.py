# SPDX-License-Identifier: Apache-2.0
"""How cost grows: a cheap call against the number of things there are, and what a task takes."""
import json
import os
import statistics
import subprocess
import sys
import time

import picture
import report
from idle import Waiting, end_all
from measure import Cgroup, descendants, parse_figures, pss, tasks

DIMENSIONS = ["files", "mappings", "tasks", "threads", "entries", "mounts"]
CALLS = ["getppid", "stat", "pread-1"]
# Of these the memory and the host threads of each are asked for too.
TASKS = ["tasks", "threads"]


def point(side, dimension, n, place):
    """Costs of the calls at n, with the memory in KiB and the host threads of the whole tree."""
    group = Cgroup()
    one = Waiting(side, ["./growth", dimension, str(n)], place.cwd, group)
    try:
        one.ready(place.limit)
        found = {name: value for name, value, _ in parse_figures(one.before.decode())}
        if dimension in TASKS:
            time.sleep(0.2)
            pids = descendants(os.getpid())
            found["threads"] = len(tasks(pids))
            if (total := pss(pids)) is not None:
                found["memory"] = total
        one.go()
        one.wait(place.limit)
        return found
    except (TimeoutError, ChildProcessError, subprocess.TimeoutExpired) as error:
        print(f"left out: {n} {dimension} under {side.name}: {error}", file=sys.stderr)
        return None
    finally:
        end_all([one], group)


def measure(sides, place, runs):
    """results[side][dimension][n]: the medians of each figure. A side that fails stops there."""
    results = {side.name: {d: {} for d in DIMENSIONS} for side in sides}
    sizes = [1, 10, 100] if place.quick else [1, 10, 100, 1000, 10000]
    for dimension in DIMENSIONS:
        good = list(sides)
        for n in sizes:
            got = {side.name: [] for side in good}
            for _ in range(runs):
                for side in good:
                    if (found := point(side, dimension, n, place)) is None:
                        good = [other for other in good if other is not side]
                    else:
                        got[side.name].append(found)
            for side in good:
                medians = {key: statistics.median([found[key] for found in got[side.name]])
                           for key in got[side.name][0]}
                results[side.name][dimension][n] = medians
                print(f"{side.name:11} {dimension:9} {n:6} " + text(medians), flush=True)
    return results


def text(medians):
    return " ".join(f"{key} {report.number(value)}" for key, value in medians.items())


def each(points, key):
    """What one more task takes, from the smallest number to each larger one: [(n, value)]."""
    known = sorted(n for n in points if key in points[n])
    return [(n, (points[n][key] - points[known[0]][key]) / (n - known[0])) for n in known[1:]]


def panels(results):
    """For the picture: a row of panels for each side."""
    for side, dimensions in results.items():
        for name in CALLS:
            yield side, f"{name}, us", {d: [(n, points[n][name]) for n in sorted(points)]
                                        for d, points in dimensions.items()}
        for key, title in (("memory", "KiB"), ("threads", "host threads")):
            yield side, f"{title} for each more", {d: each(dimensions[d], key) for d in TASKS}


def write(directory, results, about):
    os.makedirs(directory, exist_ok=True)
    with open(f"{directory}/growth.json", "w") as out:
        json.dump({**about, "results": results}, out, indent=1)
        out.write("\n")
    with open(f"{directory}/growth.txt", "w") as out:
        for side, dimensions in results.items():
            for dimension, points in dimensions.items():
                for n, medians in points.items():
                    out.write(f"{side:11} {dimension:9} {n:6} {text(medians)}\n")
                if dimension in TASKS:
                    for key in ("memory", "threads"):
                        more = [f"{n}: {report.number(v)}" for n, v in each(points, key)]
                        out.write(f"{side:11} {dimension:9} {key} for each more: " +
                                  " ".join(more) + "\n")
    with open(f"{directory}/growth.svg", "w") as out:
        out.write(picture.lines(list(panels(results)), about))


def main(args, sides, place, about):
    results = measure(sides, place, 1 if args.quick else min(args.runs, 3))
    write(args.out, results, about)
