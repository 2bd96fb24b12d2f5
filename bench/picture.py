# SPDX-License-Identifier: Apache-2.0
"""Pictures as SVG: bars of ratios to native, and lines of growth."""
import math
from xml.sax.saxutils import escape

COLOURS = {"native": "#555555", "sbx": "#1f5fbf", "sbx-nosync": "#8db4ea", "bwrap": "#9a9a9a",
           "runsc": "#e08a1e"}
LINES = {"files": "#1f5fbf", "mappings": "#e08a1e", "tasks": "#2a9d5c", "threads": "#b03060",
         "entries": "#7b52ab", "mounts": "#555555"}
MORE = ["#2a9d5c", "#b03060", "#7b52ab"]
GREY, GRID, INK = "#666666", "#dddddd", "#222222"


class Svg:
    def __init__(self, width, height):
        self.parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" font-family="sans-serif">',
            f'<rect width="{width}" height="{height}" fill="white"/>']

    def text(self, x, y, text, size=11, fill=INK, anchor="start", bold=False):
        weight = ' font-weight="bold"' if bold else ""
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{fill}" '
                          f'text-anchor="{anchor}"{weight}>{escape(text)}</text>')

    def rect(self, x, y, width, height, fill):
        self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" '
                          f'height="{height:.1f}" fill="{fill}"/>')

    def line(self, x1, y1, x2, y2, stroke, width=1):
        self.parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
                          f'stroke="{stroke}" stroke-width="{width}"/>')

    def path(self, points, stroke):
        at = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.parts.append(f'<polyline points="{at}" fill="none" stroke="{stroke}" '
                          f'stroke-width="1.5"/>')
        for x, y in points:
            self.parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.2" fill="{stroke}"/>')

    def __str__(self):
        return "\n".join(self.parts + ["</svg>"]) + "\n"


def short(value):
    """A ratio or a tick, in as few characters as can be."""
    if value >= 10:
        return f"{value:.0f}"
    return f"{value:.2f}" if value < 2 else f"{value:.1f}"


def tick(value):
    return f"{value:g}" if value < 10000 else f"{value / 1000:g}k"


def decades(low, high):
    return [10.0 ** e for e in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]


def colour_of(side, sides):
    unknown = [name for name in sides if name not in COLOURS]
    return COLOURS.get(side) or MORE[unknown.index(side) % len(MORE)]


LEFT, PLOT, BAR, GAP, HEAD = 190, 620, 6, 6, 60


def bars(lines, sides, about):
    """A bar for each side and row, from 1 (native) to its ratio, on a logarithmic scale."""
    sides = [side for side in sides if side != "native"]
    rated = [line for line in lines if line.unit not in ("x", "%") and
             any(line.ratio(side, "native") for side in sides)]
    ratios = [line.ratio(side, "native") for line in rated for side in sides]
    ratios = [ratio for ratio in ratios if ratio]
    if not ratios:
        return str(Svg(LEFT, HEAD))
    scale = decades(min(ratios + [0.5]), max(ratios + [10]))
    row_height = BAR * len(sides) + GAP
    sections = len({line.section for line in rated})
    height = HEAD + 20 + len(rated) * row_height + sections * 22
    svg = Svg(LEFT + PLOT + 50, height)

    def x(ratio):
        span = math.log10(scale[-1] / scale[0])
        return LEFT + PLOT * math.log10(ratio / scale[0]) / span

    svg.text(10, 20, "Time (or memory) as a multiple of native; less is better", 13, bold=True)
    svg.text(10, 36, f"Linux {about['kernel']}, {about['cpus']} cpus, medians of {about['runs']}, "
             f"{about['date']}", 10, GREY)
    for i, side in enumerate(sides):
        svg.rect(LEFT + i * 110, 44, 10, 10, colour_of(side, sides))
        svg.text(LEFT + i * 110 + 14, 53, side)
    for value in scale:
        svg.line(x(value), HEAD + 14, x(value), height - 4, GRID if value != 1 else GREY)
        svg.text(x(value), HEAD + 10, tick(value), 10, GREY, "middle")
    y, section = HEAD + 20, None
    for line in rated:
        if line.section != section:
            section = line.section
            svg.text(10, y + 14, section, 12, bold=True)
            y += 22
        svg.text(LEFT - 6, y + row_height / 2, line.name, 10, anchor="end")
        for side in sides:
            ratio = line.ratio(side, "native")
            if ratio:
                ends = sorted((x(1), x(ratio)))
                svg.rect(ends[0], y, max(ends[1] - ends[0], 1), BAR - 1, colour_of(side, sides))
                svg.text(ends[1] + 3, y + BAR - 1, short(ratio), 7, GREY)
            y += BAR
        y += GAP
    return str(svg)


PANEL_W, PANEL_H, MARGIN = 190, 150, 44


def panel(svg, left, top, title, series):
    """One diagram with logarithmic axes; its own range of y, but at least a decade around it."""
    points = [p for line in series.values() for p in line if p[1] > 0]
    svg.text(left, top - 6, title, 11)
    if not points:
        svg.text(left + 10, top + PANEL_H / 2, "nothing was measured", 10, GREY)
        return
    ys = decades(min(p[1] for p in points) * 0.9, max(p[1] for p in points) * 1.1)
    xs = decades(1, max(10, max(p[0] for p in points)))

    def at(n, value):
        return (left + PANEL_W * math.log10(n) / math.log10(xs[-1]),
                top + PANEL_H * (1 - math.log10(value / ys[0]) / math.log10(ys[-1] / ys[0])))

    for value in ys:
        svg.line(left, at(1, value)[1], left + PANEL_W, at(1, value)[1], GRID)
        svg.text(left - 4, at(1, value)[1] + 3, tick(value), 9, GREY, "end")
    for n in xs:
        svg.line(at(n, ys[0])[0], top, at(n, ys[0])[0], top + PANEL_H, GRID)
        svg.text(at(n, ys[0])[0], top + PANEL_H + 12, tick(n), 9, GREY, "middle")
    for name, line in series.items():
        line = [at(n, value) for n, value in line if value > 0]
        if line:
            svg.path(line, LINES[name])


def lines(panels, about):
    """panels: [(side, title, {dimension: [(n, value)]})], those of a side beside each other."""
    sides = list(dict.fromkeys(side for side, _, _ in panels))
    columns = max(sum(side == other for other, _, _ in panels) for side in sides)
    width = columns * (PANEL_W + MARGIN) + 20
    svg = Svg(width, HEAD + len(sides) * (PANEL_H + 70))
    svg.text(10, 20, "How cost grows with the number of things there are", 13, bold=True)
    svg.text(10, 36, f"Linux {about['kernel']}, {about['cpus']} cpus, {about['date']}", 10, GREY)
    for i, (name, colour) in enumerate(LINES.items()):
        svg.rect(10 + i * 90, 44, 10, 10, colour)
        svg.text(24 + i * 90, 53, name)
    for row, side in enumerate(sides):
        top = HEAD + 40 + row * (PANEL_H + 70)
        svg.text(10, top - 22, side, 12, bold=True)
        mine = [(title, series) for other, title, series in panels if other == side]
        for column, (title, series) in enumerate(mine):
            panel(svg, MARGIN + column * (PANEL_W + MARGIN), top, title, series)
    return str(svg)
