"""Runs the benches, prints a table, exits 1 when a budget is overrun."""

import argparse
import json
import sys

import base
import entry
import files
import kept_up
import live
import owner
import projects
import startup
import sync

BENCHES = {
    "entry": entry.run,
    "startup": startup.run,
    "files": files.run,
    "base": base.run,
    "projects": projects.run,
    "owner": owner.run,
    "kept-up": kept_up.run,
    "sync": sync.run,
    "live": live.run,
}


def arguments():
    parser = argparse.ArgumentParser(prog="tests/bench/run", description=__doc__)
    parser.add_argument("only", nargs="*", metavar="BENCH", help=f"{', '.join(BENCHES)} [default: all]")
    parser.add_argument("--smoke", action="store_true", help="few rounds of the debug build, no gates: does it work?")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="how often the steps of a comparison are done [5]")
    parser.add_argument("--json", metavar="FILE", help="write the figures there, - for stdout")
    return parser.parse_args()


def main():
    args = arguments()
    if unknown := set(args.only) - set(BENCHES):
        sys.exit(f"no such bench: {', '.join(sorted(unknown))}")
    rounds = 1 if args.smoke else args.rounds
    figures = [figure for name in args.only or BENCHES for figure in BENCHES[name](args.smoke, rounds)]
    if args.smoke:
        for figure in figures:
            figure.budgets, figure.floors = {}, {}
    shown = sys.stderr if args.json == "-" else sys.stdout
    for figure in figures:
        print(figure.line(), file=shown)
    if args.json:
        report = json.dumps({"schema": 1, "figures": [figure.json() for figure in figures]}, indent=2)
        if args.json == "-":
            print(report)
        else:
            with open(args.json, "w", encoding="utf-8") as file:
                file.write(report + "\n")
    overrun = [figure.name for figure in figures if figure.overruns()]
    if overrun:
        sys.exit(f"missed: {', '.join(overrun)}")


if __name__ == "__main__":
    main()
