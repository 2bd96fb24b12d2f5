# SPDX-License-Identifier: Apache-2.0
"""The rows: what is measured, by what command, and where its figure comes from."""
import os
import statistics
import subprocess
from dataclasses import dataclass

from measure import run_tree


@dataclass
class Place:
    """Where rows run, and how thoroughly."""

    tree: str  # bench/tree.c
    cwd: str  # the directory with the subjects
    quick: bool

    @property
    def limit(self):
        return 30 if self.quick else 120


@dataclass
class Row:
    section: str
    name: str
    fixtures = ()

    def missing(self):
        """Why this row is left out."""
        return ""

    def once(self, place, side):
        """One run under a side; the figures are in the result."""
        raise NotImplementedError


def start_rows():
    return [Start("start", "true", ["/bin/true"]), Start("start", "true-50", ["/bin/true"], 50)]


@dataclass
class Subject(Row):
    """A row of a subject: the program of that name in the directory of the rows."""

    def once(self, place, side):
        quick = ["-q"] if place.quick else []
        program = ["./" + self.section, *quick, self.name]
        return run_tree(place.tree, side, program, place.cwd, limit=place.limit)


@dataclass
class Start(Row):
    """From start to exit, at_once programs at a time: wall time times the cpus for each of them."""

    program: list
    at_once: int = 1

    def once(self, place, side):
        waves = (10 if place.quick else 30) if self.at_once == 1 else 1
        run = run_tree(place.tree, side, self.program, place.cwd, waves, self.at_once, place.limit)
        if run.walls:
            share = min(self.at_once, os.cpu_count()) / self.at_once
            run.figures = [(self.name, statistics.median(run.walls) / 1e3 * share, "ms")]
        run.cpu /= waves
        return run


@dataclass
class Beside(Subject):
    """A row of a subject with busy processes beside it."""

    of: str
    busy: int

    def once(self, place, side):
        beside = [subprocess.Popen(["sh", "-c", "while :; do :; done"]) for _ in range(self.busy)]
        try:
            run = Subject(self.section, self.of).once(place, side)
        finally:
            for one in beside:
                one.kill()
                one.wait()
        run.figures = [(self.name, value, unit) for _, value, unit in run.figures]
        return run


# Subjects, in the order of the table.
SUBJECTS = ["calls", "paths", "files", "channels", "memory", "parallel", "process", "locks",
            "signals", "events", "compute"]


def subject_rows(place):
    for subject in SUBJECTS:
        listed = subprocess.run([f"{place.cwd}/{subject}", "-l"], capture_output=True, text=True,
                                check=True)
        yield from (Subject(subject, name) for name in listed.stdout.split())
        if subject in ("calls", "paths"):
            of = "getppid" if subject == "calls" else "stat"
            yield from (Beside(subject, f"{of}-beside-{busy}", of, busy) for busy in (1, 2))
