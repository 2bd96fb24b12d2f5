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

    def once(self, place, side):
        """One run under a side; the figures are in the result."""
        raise NotImplementedError


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


# In the order of the table.
SUBJECTS = ["calls", "paths", "channels", "process"]


def subject_rows(place):
    for subject in SUBJECTS:
        listed = subprocess.run([f"{place.cwd}/{subject}", "-l"], capture_output=True, text=True,
                                check=True)
        for name in listed.stdout.split():
            yield Subject(subject, name)


def all_rows(place):
    rows = [Start("start", "true", ["/bin/true"]), Start("start", "true-50", ["/bin/true"], 50)]
    return rows + list(subject_rows(place))
