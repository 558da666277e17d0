"""Each mend taken out again is found within a thousand seeds; the seed is said."""

import pytest

from tests.simulation import faults, scenarios
from tests.simulation.city import Plan, simulate
from tests.simulation.faults import drawn
from tests.simulation.mutations import MUTATIONS

FOUND_BY: dict[str, tuple[Plan, str]] = {
    "C1": (drawn, "lost|without a dead letter|stuck"),
    "C2": (scenarios.many_rebalances, "taken for a topic"),
    "C3": (scenarios.one_partition_without_a_leader, "held up|repeated"),
    "C5": (drawn, "without its background work"),
    "C13 without catching up": (
        scenarios.single(faults.database_goes_back, 2),
        "two events|second life|another id|hole",
    ),
    "C13 without writer epochs": (
        scenarios.records_of_a_forgotten_past,
        "two events|does not tell|not the ledger|stands",
    ),
    "C13 with drawn ids": (drawn, "another id|two events|second life"),
}


@pytest.mark.parametrize("name", FOUND_BY)
def test_the_simulation_finds_it(name: str) -> None:
    plan, signs = FOUND_BY[name]
    for seed in range(1, 1001):
        # With two processes one may own the ledger's shards and the other the stuck ones.
        outcome = simulate(seed, MUTATIONS[name], plan, processes=1 if name == "C3" else 2)
        if any(sign in wrong for wrong in outcome.wrong for sign in signs.split("|")):
            print(f"{name}: seed {seed}: {outcome.wrong}")
            return
    pytest.fail(f"{name} was not found")
