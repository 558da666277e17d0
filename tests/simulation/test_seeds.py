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


def test_a_dead_letter_whose_commit_fails_again_and_again_stops_no_sender() -> None:
    assert simulate(27915).wrong == []
