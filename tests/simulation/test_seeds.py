"""Drawn faults, many times: the books balance after each run."""

import subprocess
import sys

import pytest

from tests.simulation.city import simulate

SEEDS = 500


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_books_balance_whatever_strikes() -> None:
    found = subprocess.run(
        [sys.executable, "-m", "tests.simulation.run", "--quiet", f"--seeds={SEEDS}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stdout + found.stderr


@pytest.mark.parametrize("seed", [5, 17])
def test_a_seed_replays_the_same_and_tracing_changes_nothing(seed: int) -> None:
    first = simulate(seed, tracing=True)
    again = simulate(seed, tracing=True)
    silent = simulate(seed)
    assert first.trace == again.trace
    assert (first.seconds, first.wrong) == (silent.seconds, silent.wrong)
