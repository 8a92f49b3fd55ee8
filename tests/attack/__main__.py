"""`make attack`: a bounded adversary that tries to bring `edge` down from outside.

    python -m tests.attack [--seed 1] [--share 1.0] [--only NAME …]

Prints a table in Markdown; the exit code is 1 if anything was handled badly.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.attack import files, service
from tests.attack.kinds import AbsentError, Kind, Row

KINDS = [
    Kind("damaged models", 1000, files.models),
    Kind("damaged and extreme configurations", 500, files.configurations),
    Kind("damaged sidecars", 1000, files.sidecars),
    Kind("damaged videos", 50, files.videos),
    Kind("folders with odd files", 30, files.folders),
    Kind("special files", 49, files.special_files),
    *service.KINDS,
]
SHOWN_FAULTS = 5


def attack(kind: Kind, seed: int, share: float) -> Row:
    """Runs a share of one kind. Equal seeds give equal attempts."""
    row, start_s = Row(kind.name), time.monotonic()
    rng = random.Random(f"{seed} {kind.name}")
    with tempfile.TemporaryDirectory(prefix="edge-attack-") as folder:
        try:
            for fault in kind.run(Path(folder), rng, max(1, round(kind.count * share))):
                row.tried += 1
                if fault is not None:
                    row.faults.append(fault)
        except AbsentError as error:
            row.absent = str(error)
    row.wall_s = time.monotonic() - start_s
    return row


def table(rows: list[Row]) -> str:
    lines = ["| kind | tried | handled well | seconds |", "| --- | --- | --- | --- |"]
    lines += [f"| {r.name} | {r.tried} | {r.well} | {r.wall_s:.0f} |" for r in rows if not r.absent]
    tried, well = sum(row.tried for row in rows), sum(row.well for row in rows)
    return "\n".join([*lines, f"| all | {tried} | {well} | {sum(r.wall_s for r in rows):.0f} |"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--only", nargs="*", default=[])
    options = parser.parse_args()
    rows: list[Row] = []
    for kind in KINDS:
        if options.only and not any(part in kind.name for part in options.only):
            continue
        row = attack(kind, options.seed, options.share)
        rows.append(row)
        if row.absent:
            print(f"NOT RUN: {row.name}: {row.absent}", file=sys.stderr, flush=True)
            continue
        print(f"{row.name}: {row.well} of {row.tried}", file=sys.stderr, flush=True)
        for fault in row.faults[:SHOWN_FAULTS]:
            print(f"  {fault}", file=sys.stderr, flush=True)
    print(table(rows))
    sys.exit(any(row.faults for row in rows))


if __name__ == "__main__":
    main()
