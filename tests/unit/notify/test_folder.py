"""The outbox folder: one readable file a message, however often it is sent."""

from pathlib import Path
from uuid import UUID

from lastmetre.common.contracts.deliveries import DeliveryResult
from lastmetre.notify.adapters.folder import FolderProvider
from lastmetre.notify.domain.provider import SENT
from tests.unit.notify.ledger import CASE
from tests.unit.notify.outbound import outbound


async def test_one_readable_file(tmp_path: Path) -> None:
    provider = FolderProvider(tmp_path / "outbox")
    assert await provider.send([outbound(CASE, body="已收到，编号 261122-0418。")]) == [SENT]
    (file,) = (tmp_path / "outbox" / "2026-11-22").iterdir()
    assert file.name.startswith("261122-0418-02-reporter-received-")
    head, body = file.read_text("utf-8").split("\n\n", 1)
    assert "To: a@example.org" in head.splitlines()
    assert "Case: 261122-0418" in head.splitlines()
    assert body == "已收到，编号 261122-0418。\n"


async def test_a_repetition_replaces_the_file(tmp_path: Path) -> None:
    provider = FolderProvider(tmp_path)
    await provider.send([outbound(CASE)] * 3 + [outbound(CASE, 3)])
    assert len(list(tmp_path.rglob("*"))) == 1 + 2


async def test_an_odd_number_stays_inside_the_folder(tmp_path: Path) -> None:
    provider = FolderProvider(tmp_path / "outbox")
    await provider.send([outbound(CASE)._replace(number="../../etc/\u0000" + "9" * 200)])
    (file,) = (tmp_path / "outbox" / "2026-11-22").iterdir()
    assert file.is_file()


async def test_a_folder_that_cannot_be_written_waits(tmp_path: Path) -> None:
    (tmp_path / "outbox").write_text("a file stands in the way")
    outcome = (await FolderProvider(tmp_path / "outbox").send([outbound(UUID(int=1))]))[0]
    assert outcome.result is None
    assert (outcome.error or "").startswith("folder_")
    assert DeliveryResult.SENT not in outcome
