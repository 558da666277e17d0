"""The ledger's files: any record comes back as it was, and what is damaged is named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from obstore.store import MemoryStore

from lastmetre.cli.checked_document import DocumentDamaged, checked_content, checked_document
from lastmetre.cli.ledger.archive import MANIFEST, Archive, ArchiveDamaged, Manifest
from lastmetre.cli.ledger.records import KeptRecord, RecordUnreadable, read, read_all, written

DATA = st.none() | st.binary(max_size=20) | st.text(max_size=20).map(str.encode)
RECORDS = st.builds(
    KeptRecord,
    offset=st.integers(0, 2**63 - 1),
    appended_at=st.integers(0, 2**53),
    key=DATA,
    headers=st.lists(st.tuples(st.text(max_size=5), DATA), max_size=3).map(tuple),
    value=DATA,
)


@given(st.lists(RECORDS, max_size=4))
def test_any_record_comes_back_byte_for_byte(records: list[KeptRecord]) -> None:
    lines = b"".join(written(each) for each in records)
    assert lines.count(b"\n") == len(records)
    assert list(read_all(lines)) == records


def test_text_can_be_read_in_the_file() -> None:
    headers = (("ce_id", b"c1:2"), ("odd", b"\xff"))
    line = written(KeptRecord(7, 5, b"c1", headers, '{"text":"井盖"}'.encode()))
    assert line.decode() == (
        '{"offset":7,"appended_at":5,"key":"c1","headers":[["ce_id","c1:2"],["odd",{"base64":'
        '"/w=="}]],"value":"{\\"text\\":\\"井盖\\"}"}\n'
    )


@pytest.mark.parametrize("line", [b"[]", b"{}", b"no", b'{"offset":1,"appended_at":2,"key":3}'])
def test_a_line_that_holds_no_record_is_refused(line: bytes) -> None:
    with pytest.raises(RecordUnreadable):
        read(line)


@given(st.recursive(st.none() | st.integers() | st.text(max_size=5), lambda inner: st.lists(
    inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3), max_leaves=5),
    st.data())  # fmt: skip
def test_half_a_document_is_never_taken_for_a_whole(content: object, data: st.DataObject) -> None:
    document = checked_document({"all": content})
    assert checked_content(document) == {"all": content}
    with pytest.raises(DocumentDamaged):
        checked_content(document[: data.draw(st.integers(0, len(document) - 3))])


async def written_archive() -> tuple[MemoryStore, Archive, Manifest]:
    """Two parts of a partition."""
    store = MemoryStore()
    archive = Archive(store, "memory")
    manifest = Manifest()
    for first in (0, 2):
        lines = [written(KeptRecord(n, n, b"k", (), b"v")) for n in (first, first + 1)]
        manifest.parts.append(await archive.keep_part(3, first, first + 2, lines))
    await archive.keep_manifest(manifest)
    return store, archive, manifest


async def every_offset(archive: Archive, manifest: Manifest) -> list[int]:
    return [each.offset async for _, records in archive.parts(manifest) for each in records]


async def test_what_was_written_is_read_again() -> None:
    store, archive, manifest = await written_archive()
    assert await archive.manifest() == manifest
    assert await every_offset(archive, manifest) == [0, 1, 2, 3]
    assert await Archive(MemoryStore(), "empty").manifest() is None
    # The same records are the same file, whenever they are written.
    before = bytes(store.get(manifest.parts[0].name).bytes())
    await written_archive()
    assert bytes(store.get(manifest.parts[0].name).bytes()) == before


async def test_a_damaged_file_is_named() -> None:
    store, archive, manifest = await written_archive()
    name = manifest.parts[1].name
    content = bytes(store.get(name).bytes())
    store.put(name, content[:-1])
    with pytest.raises(ArchiveDamaged, match=f"{name} is not what was written"):
        await every_offset(archive, manifest)
    store.delete(name)
    with pytest.raises(ArchiveDamaged, match=f"{name} is not there"):
        await every_offset(archive, manifest)
    with pytest.raises(ArchiveDamaged, match="does not go on from 0"):
        await every_offset(archive, Manifest(parts=manifest.parts[1:]))


async def test_a_manifest_that_was_changed_is_refused() -> None:
    store, archive, manifest = await written_archive()
    document = bytes(store.get(MANIFEST).bytes())
    store.put(MANIFEST, document.replace(b'"records": 2', b'"records": 3'))
    with pytest.raises(ArchiveDamaged, match="its checksum is another one"):
        await archive.manifest()
    later = checked_document(manifest.model_dump(mode="json") | {"format": 2})
    store.put(MANIFEST, later)
    with pytest.raises(ArchiveDamaged, match="another format"):
        await archive.manifest()
