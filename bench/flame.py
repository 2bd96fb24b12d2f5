#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A flame graph of samples with call chains.

    perf record -g -o perf.data -p PID -- sleep 2
    perf script -i perf.data | bench/flame.py --title 'what it was' > flame.svg

Width is the share of samples, a box rests on its caller; frames under one in two hundred are left out.
"""
import argparse
import html
import re
import sys

WIDTH, ROW, LEAST = 1200, 17, 0.005
FRAME = re.compile(r"^\s+[0-9a-f]+\s+(.*?)(?:\+0x[0-9a-f]+)?\s+\((.*)\)$")


class Node:
    def __init__(self):
        self.count = 0
        self.children = {}


def read_chains(lines):
    """The call chains, outermost frame first: a name, and whether it is the host kernel's."""
    chain, command = [], None
    for line in lines:
        if not line.strip():
            if command:
                yield [(command, False)] + chain[::-1]
            chain, command = [], None
        elif not line[0].isspace():
            command = line.split()[0]
        else:
            match = FRAME.match(line.rstrip())
            if match:
                chain.append((match[1], "kernel" in match[2] or match[2].startswith("[")))
    if command:
        yield [(command, False)] + chain[::-1]


def build(chains):
    root = Node()
    for chain in chains:
        root.count += 1
        node = root
        for frame in chain:
            node = node.children.setdefault(frame, Node())
            node.count += 1
    return root


def boxes(node, x, depth, total):
    for frame, child in sorted(node.children.items()):
        width = child.count / total
        if width >= LEAST:
            yield frame, x, depth, width
            yield from boxes(child, x, depth + 1, total)
        x += width


def colour(name, kernel):
    shade = sum(name.encode()) % 40
    return f"rgb({205 + shade},{150 + shade},{90 + shade})" if kernel else \
        f"rgb({110 + shade},{165 + shade},{205 + shade})"


def draw(root, title):
    total = max(root.count, 1)
    all_boxes = list(boxes(root, 0.0, 0, total))
    height = (max((b[2] for b in all_boxes), default=0) + 3) * ROW
    yield (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
           f'font-family="monospace" font-size="11">')
    yield f'<text x="4" y="13">{html.escape(title)} ({total} samples; blue: sbx, ochre: host kernel)</text>'
    for (name, kernel), x, depth, width in all_boxes:
        left, wide, top = x * WIDTH, width * WIDTH, height - (depth + 1) * ROW
        label = name if len(name) * 6.7 < wide else name[:int(wide / 6.7)]
        yield (f'<g><title>{html.escape(name)}: {width:.1%}</title>'
               f'<rect x="{left:.1f}" y="{top}" width="{max(wide - 0.5, 0.5):.1f}" '
               f'height="{ROW - 1}" fill="{colour(name, kernel)}"/>'
               f'<text x="{left + 2:.1f}" y="{top + 12}">{html.escape(label)}</text></g>')
    yield "</svg>"


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--title", default="where the time goes")
    arguments = parser.parse_args()
    root = build(read_chains(sys.stdin))
    if root.count == 0:
        sys.exit("flame.py: no samples on standard input; give it the output of perf script")
    print("\n".join(draw(root, arguments.title)))


if __name__ == "__main__":
    main()
