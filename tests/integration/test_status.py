"""`lastmetre status`: what runs and how far behind it is, with a service away and back again."""

import uuid
from pathlib import Path

from lastmetre.common.contracts.topics import SERVICES
from lastmetre.devstack import Stack
from tests.support.city import City
from tests.support.commands import lastmetre


async def relayed(city: City) -> bool:
    dispatch = await city.database("dispatch")
    return not await dispatch.fetchval("SELECT count(*) FROM outbox")


async def test_status_tells_what_runs_what_is_missing_and_how_far_behind(
    stack: Stack, city: City
) -> None:
    await city.import_network()
    await city.new_case(f"status-{uuid.uuid4()}")
    await lastmetre(stack, "audit")  # so that nothing is in flight

    status = await lastmetre(stack, "status")
    assert status["ready"]
    assert status["broker"]["address"] == stack.endpoints.bootstrap_servers
    assert (status["broker"]["pid"], status["database"]["pid"]) == (
        stack.pid("kafka"), stack.pid("postgres"),
    )  # fmt: skip
    services = {each["name"]: each for each in status["services"]}
    assert set(services) == set(SERVICES)
    for name, service in services.items():
        assert service["ready"]
        assert [each["name"] for each in service["processes"]] == [f"{name}-0"]
        assert service["processes"][0]["address"] == stack.endpoints.services[name]
        assert service["processes"][0]["pid"] == stack.pid(name)
        assert set(service["lag"].values()) == {0}
        assert service["outbox"] == 0
        database = await city.database(name)
        letters = "SELECT count(*) FROM dead_letter WHERE replayed_at IS NULL"
        assert service["dead_letters"] == await database.fetchval(letters)

    stack.stop_process("metrics")
    try:
        await city.new_case(f"status-{uuid.uuid4()}")
        await city.until(lambda: relayed(city), "empty outbox of dispatch")
        status = await lastmetre(stack, "status", code=1)
    finally:
        stack.start_process("metrics")
    assert not status["ready"]
    services = {each["name"]: each for each in status["services"]}
    assert {name for name, service in services.items() if not service["ready"]} == {"metrics"}
    [gone] = services["metrics"]["processes"]
    assert (gone["ready"], gone["pid"]) == (False, None)
    assert "no answer" in gone["missing"][0]
    # One report; and of its case, registered and dispatched.
    assert services["metrics"]["lag"]["reports"] == 1
    assert services["metrics"]["lag"]["cases"] == 2
    assert (await lastmetre(stack, "status"))["ready"]


async def test_status_without_an_address_says_so(stack: Stack, tmp_path: Path) -> None:
    status = await lastmetre(stack, "status", code=2, LASTMETRE_HOME=str(tmp_path))
    assert (status["ready"], status["home"]) == (False, str(tmp_path))
    assert "KAFKA_BOOTSTRAP_SERVERS is not set" in status["problem"]
