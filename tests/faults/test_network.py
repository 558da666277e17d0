"""The network between each two: slow, silent, refusing, cut in the middle of what is said."""

import asyncio
import time

import pytest

from lastmetre.common.contracts.topics import SERVICES
from tests.faults.conftest import Begin, MakeRig
from tests.faults.rig.proxy import Fault, Proxy
from tests.faults.rig.rig import INTAKE, KAFKA, POSTGRES, Rig, Shape
from tests.faults.rig.trial import RESETS

pytestmark = [
    pytest.mark.fault, pytest.mark.slow, pytest.mark.trial, pytest.mark.kind(name="network"),
    pytest.mark.timeout(480),
]  # fmt: skip

SLOW = Fault(delay=1.0)
"""Each way: an answer comes two seconds later."""
FAULTS = {"slow": SLOW, "silent": Fault(silent=True), "refused": Fault(refuses=True)}
CUT_AFTER_BYTES = (300, 1_000, 3_000, 10_000, 30_000)
"""Of the client's: some of these end in the middle of a batch, some at its commit."""
SECONDS = 15.0
REBALANCES = 20
PAIRS = [(s, what) for s in SERVICES for what in (POSTGRES, KAFKA)] + [("notify", INTAKE)]


@pytest.fixture(scope="module")
def shape() -> Shape:
    return Shape(proxied=SERVICES)


@pytest.mark.parametrize(("service", "other"), PAIRS)
@pytest.mark.parametrize("fault", FAULTS)
async def test_way_is_bad(rig: Rig, begin: Begin, service: str, other: str, fault: str) -> None:
    async with begin(rig, f"{service} - {other}: {fault} {SECONDS:.0f} s") as trial, trial.fault():
        bad(rig.between(service, other), FAULTS[fault], cut=fault == "refused")
        began = time.monotonic()
        await asyncio.sleep(SECONDS)
        bad(rig.between(service, other), Fault(), cut=False)
        said = rig.services.red(began, lambda sample: sample.well)
    assert said[f"{service}-0"] or fault == "slow", "/readyz?all says nothing"


@pytest.mark.parametrize("other", [POSTGRES, KAFKA])
async def test_connections_are_cut(rig: Rig, begin: Begin, other: str) -> None:
    """Each connection of every service after so many bytes, for a while for each number."""
    async with begin(rig, f"all - {other}: connections cut after n bytes") as trial, trial.fault():
        proxies = [proxy for service in SERVICES for proxy in rig.between(service, other)]
        for limit in CUT_AFTER_BYTES:
            bad(proxies, Fault(cut_after=limit), cut=True)
            await asyncio.sleep(4)
        bad(proxies, Fault(), cut=True)


async def test_processes_come_and_go_while_statements_are_slow(
    a_rig: MakeRig, begin: Begin
) -> None:
    """Twenty rebalances, and no partition is read again."""
    rig = await a_rig(Shape(proxied=["dispatch"]))
    fault = f"statements 2 s slow, {REBALANCES} rebalances"
    async with begin(rig, fault, posts_a_second=20) as trial, trial.fault():
        bad(rig.between("dispatch", POSTGRES), SLOW, cut=False)
        for _ in range(REBALANCES // 2):
            rig.services.add("dispatch", 1)
            await asyncio.sleep(6)
            assert await asyncio.to_thread(rig.services.end, "dispatch", 1) in (0, 1, -9)
        bad(rig.between("dispatch", POSTGRES), Fault(), cut=False)
    assert await asyncio.to_thread(rig.services.counter, RESETS) == 0


def bad(proxies: list[Proxy], fault: Fault, *, cut: bool) -> None:
    for each in proxies:
        each.set(fault, cut=cut)
