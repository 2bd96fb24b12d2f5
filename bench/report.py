# SPDX-License-Identifier: Apache-2.0
"""What was measured, as text and as JSON."""
import json
import os
import platform
import statistics
import time

import picture

# The columns that another one is compared with, beside native.
PEER = "runsc"


class Cell:
    """The runs of one figure under one side."""

    def __init__(self):
        self.values = []
        self.cpu = []
        self.failed = ""

    @property
    def value(self):
        return statistics.median(self.values) if self.values and not self.failed else None

    def as_json(self):
        if self.failed:
            return {"failed": self.failed}
        return {"median": self.value, "values": self.values, "cpu_s": statistics.median(self.cpu)}


class Line:
    """One figure under all sides."""

    def __init__(self, section, name, unit):
        self.section, self.name, self.unit = section, name, unit
        self.cells = {}

    def ratio(self, side, to):
        mine, other = (self.cells[s].value if s in self.cells else None for s in (side, to))
        return mine / other if mine is not None and other else None

    def as_json(self, sides):
        cells = {side: cell.as_json() for side, cell in self.cells.items()}
        for side, cell in cells.items():
            for to in ("native", PEER):
                ratio = self.ratio(side, to)
                if ratio is not None and side != to:
                    cell[f"ratio_to_{to}"] = ratio
        return {"section": self.section, "name": self.name, "unit": self.unit, "sides": cells}


def number(value):
    """Three digits, without an exponent."""
    if value is None:
        return "-"
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def head(sides):
    cells = []
    for side in sides:
        cells.append(f"{side:>11}")
        if side != "native":
            cells.append("  x nat")
            if side != PEER and PEER in sides:
                cells.append("  x gV ")
        cells.append("  cpu s")
    return f"{'':24} {'':4}" + "".join(cells)


def text_line(line, sides):
    text = f"{line.name:24} {line.unit:4}"
    for side in sides:
        cell = line.cells.get(side)
        text += f"{'failed' if cell and cell.failed else number(cell and cell.value):>11}"
        if side != "native":
            text += f"{number(line.ratio(side, 'native')):>7}"
            if side != PEER and PEER in sides:
                text += f"{number(line.ratio(side, PEER)):>7}"
        cpu = statistics.median(cell.cpu) if cell and cell.cpu else None
        text += f"{'-' if cpu is None else format(cpu, '.3f'):>7}"
    return text


def host():
    return {
        "date": time.strftime("%Y-%m-%d %H:%M"),
        "kernel": platform.release(),
        "cpus": os.cpu_count(),
        "load_before": os.getloadavg()[0],
    }


def text_table(lines, sides, about):
    out = [f"{about['date']}, Linux {about['kernel']}, {about['cpus']} cpus, medians of "
           f"{about['runs']}", "", head(sides)]
    section = None
    for line in lines:
        if line.section != section:
            section = line.section
            out += ["", section]
        out.append(text_line(line, sides))
    return "\n".join(out) + "\n"


def write(directory, lines, sides, about):
    os.makedirs(directory, exist_ok=True)
    with open(f"{directory}/bench.txt", "w") as out:
        out.write(text_table(lines, sides, about))
    with open(f"{directory}/bench.json", "w") as out:
        json.dump({**about, "sides": sides, "rows": [line.as_json(sides) for line in lines]}, out,
                  indent=1)
        out.write("\n")
    with open(f"{directory}/bench.svg", "w") as out:
        out.write(picture.bars(lines, sides, about))
