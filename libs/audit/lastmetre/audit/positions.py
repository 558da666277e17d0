"""Stored positions: never ahead of their topic, never behind what is kept of it."""

from lastmetre.audit.balance import Balance
from lastmetre.audit.consistent_cut import ConsistentCut
from lastmetre.common.contracts.readers import READERS


def check_positions(cut: ConsistentCut, balance: Balance) -> None:
    """One line over every position of every service."""
    line = balance.line("positions")
    for snapshot in cut.snapshots:
        readers = READERS[snapshot.service]
        for (flow, place), read in snapshot.positions.items():
            if place not in cut.after:
                continue
            line.expected["positions stored"] += 1
            name = f"{snapshot.service}.{flow} {place[0]}/{place[1]}"
            if read.next_offset > cut.after[place]:
                line.differ(name, f"is at {read.next_offset}, the topic ends at {cut.after[place]}")
            else:
                line.actual["within their topic"] += 1
        for place, first in cut.first.items():
            if place[0] in readers and cut.position(snapshot, place) < first:
                line.differ(
                    f"{snapshot.service}.{readers[place[0]]} {place[0]}/{place[1]}",
                    f"has not read what was kept only up to {first}",
                )
