"""The named faults, each over a few seeds."""

import pytest

from tests.simulation import faults, scenarios
from tests.simulation.city import Plan, simulate

NAMED: dict[str, Plan] = {
    "C1 database refuses with an unlisted error": scenarios.read_only_for_a_while,
    "C2 rebalances overtaken by fetches": scenarios.many_rebalances,
    "C3 one topic without a leader": scenarios.one_partition_without_a_leader,
    "C5 background work fails": scenarios.single(faults.background_work_fails, 2),
    "C11 one sender floods": scenarios.single(faults.a_sender_floods),
    "C13 database goes back": scenarios.single(faults.database_goes_back, 2),
    "C13 records of a forgotten past": scenarios.records_of_a_forgotten_past,
    "F5 topic made anew": scenarios.single(faults.channel_is_made_anew),
    "every leader away": scenarios.every_leader_away,
    "lost answers": scenarios.lost_answers,
    "frozen processes": scenarios.single(faults.process_is_frozen, 3),
    "relay loses its locks": scenarios.single(faults.sessions_are_cut, 6),
}


@pytest.mark.parametrize("name", NAMED)
def test_it_balances(name: str) -> None:
    for seed in range(1, 9):
        outcome = simulate(seed, plan=NAMED[name])
        assert outcome.wrong == [], f"seed {seed}"


def test_c3_one_topic_without_a_leader_and_one_relay() -> None:
    for seed in range(1, 5):
        plan = scenarios.one_partition_without_a_leader
        assert simulate(seed, plan=plan, processes=1).wrong == []


def test_c6_an_unknown_event_type_stops_its_partition_alone() -> None:
    outcome = simulate(3, plan=scenarios.an_unknown_event_type)
    stuck = [each for each in outcome.wrong if each.startswith("stuck")]
    assert stuck
    assert stuck[0].startswith("stuck: notify: case.events-0 ")
    assert not any("dead letters" in each for each in outcome.wrong)
