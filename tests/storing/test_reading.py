"""Objects are read as they are used: a leap to another place brings little, what is read on and on comes in one go."""

from __future__ import annotations

import io
import tarfile

from cwl_ui_plugin.fetching.storage_roots import StorageAddress, StorageRoot
from cwl_ui_plugin.fetching.stored_objects import StoredObject
from cwl_ui_plugin.storing.reading import AFTER_SEEK_BYTES, BUFFER_BYTES, StoredFile

MEMBERS, MEMBER_BYTES = 8, 3 * 1024 * 1024


def opened(content: bytes) -> tuple[StoredFile, list[int]]:
    """Return an object that has a content, and how many bytes of it are asked for each time."""
    asked: list[int] = []

    def part(start: int, end: int) -> bytes:
        asked.append(end - start)
        return content[start:end]

    address = StorageAddress(StorageRoot.parse("s3://results"), "x.tar")
    return StoredFile(StoredObject.of(address, {"size": len(content)}), part), asked


def tar() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as writer:
        for number in range(MEMBERS):
            entry = tarfile.TarInfo(f"{number}.bin")
            entry.size = MEMBER_BYTES
            writer.addfile(entry, io.BytesIO(bytes([number]) * MEMBER_BYTES))
    return file.getvalue()


def test_looking_into_a_tar_brings_little_of_its_members() -> None:
    file, asked = opened(tar())
    with tarfile.open(fileobj=file) as reader:
        assert [entry.name for entry in reader] == [f"{number}.bin" for number in range(MEMBERS)]
        assert sum(asked) <= BUFFER_BYTES + 2 * MEMBERS * AFTER_SEEK_BYTES
        asked.clear()
        member = reader.extractfile("5.bin")
        assert member is not None
        assert member.read() == b"\5" * MEMBER_BYTES
    assert len(asked) <= 8


def test_what_is_read_from_its_beginning_comes_in_large_parts_and_whole() -> None:
    content = bytes(range(256)) * 4096 * 5
    file, asked = opened(content)
    assert file.read(10) == content[:10]
    assert asked == [BUFFER_BYTES]
    file.seek(3_000_000)
    assert file.read(10) == content[3_000_000:3_000_010]
    assert asked[1:] == [AFTER_SEEK_BYTES]
    assert file.read() == content[3_000_010:]
    file.seek(0)
    assert b"".join(iter(lambda: file.read(100_000), b"")) == content
    assert max(asked) <= len(content)
