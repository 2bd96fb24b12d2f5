# SPDX-License-Identifier: Apache-2.0
"""Runs the same programs under several sides in turn, and prints what they took.

Nothing here judges: the status is 1 when a row failed under sbx and 2 when one failed natively.
"""
import argparse
import fcntl
import fnmatch
import os
import signal
import sys

import containers
import fixtures
import growth
import idle
import measure
import programs
import report
import rows
import sides

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
BUILD = f"{ROOT}/build/release"


def parse_args():
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer runs of less work")
    parser.add_argument("--only", metavar="PATTERN", action="append", default=[],
                        help="rows whose name, or section, matches (as a shell does); repeatable")
    parser.add_argument("--sides", metavar="A,B", help="of native,sbx,sbx-nosync,bwrap,runsc")
    parser.add_argument("--side", metavar="NAME=COMMAND", action="append", default=[],
                        help="one more side; programs are put behind the command")
    parser.add_argument("--runs", type=int, help="runs of each row and side (7; 2 with --quick)")
    parser.add_argument("--runsc", metavar="PATH", help="gVisor's program")
    parser.add_argument("--sbx", metavar="PATH", default=f"{BUILD}/sbx")
    parser.add_argument("--out", metavar="DIR", help="where the table goes: bench/results, for a "
                        "part of the rows or --quick build/release/bench/results")
    parser.add_argument("--growth", action="store_true", help="how cost grows with the number of "
                        "files, mappings, tasks, threads, names and mounts, instead of the rows")
    parser.add_argument("--containers", action="store_true", help="as an OCI runtime, beside runc, "
                        "crun and with --runsc gVisor, instead of the rows; --side NAME=COMMAND adds one")
    parser.add_argument("--list", action="store_true", help="list the rows")
    args = parser.parse_args()
    args.runs = args.runs or (2 if args.quick else 7)
    args.sbx = os.path.abspath(args.sbx)
    part = args.quick or args.only or args.sides or args.containers
    args.out = args.out or (f"{BUILD}/bench/results" if part else f"{HERE}/results")
    return args


def wanted(row, patterns):
    return not patterns or any(fnmatch.fnmatch(text, pattern)
                               for text in (row.name, row.section) for pattern in patterns)


def picked_rows(place, patterns):
    """The rows to run; of those that cannot be, a line says why."""
    every = [*rows.start_rows(), *rows.subject_rows(place), *programs.program_rows(),
             *idle.idle_rows()]
    sections = list(dict.fromkeys(row.section for row in every))
    every.sort(key=lambda row: sections.index(row.section))
    picked = [row for row in every if wanted(row, patterns)]
    for row in picked:
        if row.missing():
            print(f"left out: {row.name}: {row.missing()}")
    return [row for row in picked if not row.missing()]


def take(row, side, run, table):
    """Puts the figures of a run into their lines; a run without any is a failure of the row."""
    if run.left_out and not run.error:
        print(f"left out: {row.name} under {side.name}: {run.left_out}")
        return False
    failed = run.error or ("" if run.figures else "no figure")
    for name, value, unit in run.figures if not failed else [(row.name, None, "")]:
        line = table.setdefault(name, report.Line(row.section, name, unit))
        line.unit = line.unit or unit
        cell = line.cells.setdefault(side.name, report.Cell())
        cell.failed = failed
        if not failed:
            cell.values.append(value)
            cell.cpu.append(run.cpu)
    if failed:
        print(f"failed: {row.name} under {side.name}: {failed}", file=sys.stderr)
    return not failed


def run_row(row, place, chosen, runs):
    """A row under all sides, in turn; a side that failed once is not asked again."""
    table, good = {}, list(chosen)
    for _ in range(runs):
        good = [side for side in good if take(row, side, row.once(place, side), table)]
    return list(table.values())


def exit_status(lines):
    failed = {side for line in lines for side, cell in line.cells.items() if cell.failed}
    if "native" in failed:
        return 2
    return 1 if any(side.startswith("sbx") for side in failed) else 0


def main():
    args = parse_args()
    if args.containers:
        status = containers.main(args, {**report.host(), "runs": args.runs, "quick": args.quick})
        print(f"\nwritten to {os.path.relpath(args.out)}")
        return status
    cwd = f"{BUILD}/bench/run"
    place = rows.Place(f"{cwd}/tree", cwd, args.quick)
    measure.be_subreaper()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    picked = picked_rows(place, args.only)
    if args.list:
        print("\n".join(f"{row.section:12} {row.name}" for row in picked))
        return 0
    chosen = sides.chosen(args, cwd)
    alone = open(f"{cwd}/lock", "w")
    try:
        fcntl.flock(alone, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise SystemExit("another bench runs in this tree") from None
    fixtures.prepare(f"{cwd}/work", [name for row in picked for name in row.fixtures], args.quick)
    about = {**report.host(), "runs": args.runs, "quick": args.quick}
    if args.growth:
        growth.main(args, chosen, place, about)
        print(f"\nwritten to {os.path.relpath(args.out)}")
        return 0
    names = [side.name for side in chosen]
    print(report.head(names))
    lines, section = [], None
    for row in picked:
        if row.section != section:
            section = row.section
            print(f"\n{section}")
        done = run_row(row, place, chosen, args.runs)
        for line in done:
            print(report.text_line(line, names), flush=True)
        lines += done
    report.write(args.out, lines, names, about)
    print(f"\nwritten to {os.path.relpath(args.out)}")
    return exit_status(lines)


if __name__ == "__main__":
    sys.exit(main())
