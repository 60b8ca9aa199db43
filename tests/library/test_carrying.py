"""Archives of versions that somebody has made to harm: each is refused in words, and takes neither room nor memory."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
import tracemalloc
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from cwl_ui_plugin.library import carrying
from cwl_ui_plugin.library.errors import DamagedArchive
from cwl_ui_plugin.library.versions import DIGEST_LENGTH

MOST = 100_000
SOURCE = b"cwlVersion: v1.2"
_CONTENT = f"\0main.cwl\0{hashlib.sha256(SOURCE).hexdigest()}"
DIGEST = hashlib.sha256(f"main.cwl{_CONTENT}".encode()).hexdigest()[:DIGEST_LENGTH]
TOP = f"workflows/a/versions/{DIGEST}"
TOLD = {"main": "main.cwl", "filename": "a.cwl", "uploaded_by": "me", "uploaded_at": "2026-12-01T00:00:00+00:00"}
Member = tuple[tarfile.TarInfo, bytes]


def member(name: str, content: bytes = b"x", *, kind: bytes = tarfile.REGTYPE, size: int | None = None) -> Member:
    """A member whose header says another ``size`` than it has, if that is given."""
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, len(content) if size is None else size
    return info, content


def told(content: object) -> Member:
    return member(f"{TOP}/version.json", json.dumps(content).encode())


GOOD = [told(TOLD), member(f"{TOP}/source/main.cwl", SOURCE)]


def packed(members: Iterable[Member], form: int = tarfile.GNU_FORMAT) -> bytes:
    file = io.BytesIO()
    with gzip.open(file, "wb", 1) as archive:
        for info, content in members:
            archive.write(info.tobuf(form))
            archive.write(content + b"\0" * (-len(content) % tarfile.BLOCKSIZE))
        archive.write(b"\0" * 2 * tarfile.BLOCKSIZE)
    return file.getvalue()


def unpack(content: bytes, folder: Path) -> None:
    carrying.unpack(io.BytesIO(content), folder / "store", "a", DIGEST, most=MOST)


HOSTILE: dict[str, Callable[[], Iterable[Member]]] = {
    "less than nothing": lambda: [
        member(f"{TOP}/d", b"", kind=tarfile.DIRTYPE, size=-(10**15)),
        *GOOD,
        member(f"{TOP}/large", b"0" * 2 * MOST),
    ],
    "a file of less than nothing": lambda: [*GOOD, member(f"{TOP}/x", b"", size=-(10**15))],
    "back to the first": lambda: [*GOOD, member(f"{TOP}/x", b"", size=-2 * tarfile.BLOCKSIZE)],
    "two of a name": lambda: [*GOOD, GOOD[1]],
    "a file as folder": lambda: [*GOOD, member(f"{TOP}/f"), member(f"{TOP}/f/x")],
    "a folder as file": lambda: [*GOOD, member(f"{TOP}/f"), member(f"{TOP}/f", b"", kind=tarfile.DIRTYPE)],
    "a name in a name": lambda: [member("././@LongLink", b"x", kind=tarfile.GNUTYPE_LONGNAME)] * 3000,
    "a long name": lambda: [
        *GOOD,
        member("././@LongLink", f"{TOP}/{'n' * 300}".encode(), kind=tarfile.GNUTYPE_LONGNAME),
        member("n"),
    ],
    "deep": lambda: [
        *GOOD,
        member("././@LongLink", f"{TOP}/{'n/' * 2500}x".encode(), kind=tarfile.GNUTYPE_LONGNAME),
        member("n"),
    ],
    "brackets": lambda: [member(f"{TOP}/version.json", b"[" * 90_000), GOOD[1]],
    "long words": lambda: [member(f"{TOP}/version.json", json.dumps({**TOLD, "x": "0" * 2000}).encode()), GOOD[1]],
    **{
        f"told {name}": lambda name=name: [told({**TOLD, name: 5}), GOOD[1]]  # type: ignore[misc]
        for name in (*TOLD, "origin", "more")
    },
    "no time": lambda: [told({**TOLD, "uploaded_at": "yesterday"}), GOOD[1]],
}


def test_a_good_one_is_unpacked(tmp_path: Path) -> None:
    unpack(packed(GOOD), tmp_path)
    assert (tmp_path / "store" / TOP / "source/main.cwl").read_bytes() == SOURCE


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_one_is_refused_in_words(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carrying, "MAX_VERSION_FILE", 1000 if kind == "long words" else MOST)
    with pytest.raises(DamagedArchive):
        unpack(packed(HOSTILE[kind]()), tmp_path)
    assert not list(tmp_path.iterdir())


def test_what_is_packed_wrongly_is_refused_in_words(tmp_path: Path) -> None:
    good = packed(GOOD)
    for content in (good[:60], good[:20] + b"\xff" * 40, b"none", b"", gzip.compress(b"x" * 10_000)):
        with pytest.raises(DamagedArchive):
            unpack(content, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE])
def test_a_header_of_many_bytes_takes_no_memory(kind: bytes, tmp_path: Path) -> None:
    content = packed([member("x", b"\0" * 8 * carrying.MAX_HEADERS, kind=kind)])
    tracemalloc.start()
    try:
        with pytest.raises(DamagedArchive, match="too much in its headers"):
            unpack(content, tmp_path)
        _now, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 4 * carrying.MAX_HEADERS


def test_folders_that_no_member_names_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carrying, "MAX_FILES", 10)
    with pytest.raises(DamagedArchive, match="more than 10 files"):
        unpack(packed([*GOOD, member(f"{TOP}/{'a/' * 10}x")]), tmp_path)
