"""`python -m tests.simulation.run`: many seeds on all cores, or one again with its trace."""

import argparse
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from typing import Final

from tests.simulation.city import Outcome, simulate

AT_ONCE: Final = 25
DETERMINED: Final = {"PYTHONHASHSEED": "0"}
"""The order of sets must be the same in each process, or a seed would not replay."""


def _some(first: int) -> list[Outcome]:
    return [found for seed in range(first, first + AT_ONCE) if (found := simulate(seed)).wrong]


def run_many(first: int, seeds: int, *, quiet: bool) -> list[Outcome]:
    """Those that failed. Tells how far it is unless it is to be quiet."""
    failed: list[Outcome] = []
    began = time.monotonic()
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for done, found in enumerate(pool.map(_some, range(first, first + seeds, AT_ONCE)), 1):
            failed += found
            for each in found:
                print(told(each), flush=True)
            if not quiet and done % 8 == 0:
                spent = time.monotonic() - began
                print(f"{done * AT_ONCE} seeds, {len(failed)} failed, {spent:.0f} s", flush=True)
    return failed


def told(outcome: Outcome) -> str:
    """A failed seed, and how it is replayed."""
    wrong = "\n  ".join(outcome.wrong[:6])
    faults = ", ".join(outcome.faults)
    return f"seed {outcome.seed} ({faults}):\n  {wrong}\n  again: make simulate SEED={outcome.seed}"


def main() -> int:
    """Exit code 1 where a seed failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--seed", type=int, help="replay this one, with its trace")
    parser.add_argument("--quiet", action="store_true")
    chosen = parser.parse_args()
    if os.environ.get("PYTHONHASHSEED") != "0":
        os.execve(
            sys.executable,
            [sys.executable, "-m", "tests.simulation.run", *sys.argv[1:]],
            os.environ | DETERMINED,
        )
    if chosen.seed is None:
        return bool(run_many(chosen.first, chosen.seeds, quiet=chosen.quiet))
    outcome = simulate(chosen.seed, tracing=True)
    print("\n".join(outcome.trace))
    print(told(outcome) if outcome.wrong else f"seed {outcome.seed}: all balanced")
    return bool(outcome.wrong)


if __name__ == "__main__":
    sys.exit(main())
