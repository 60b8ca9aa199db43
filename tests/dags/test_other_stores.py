"""Inputs in stores other than S3: by whatever speaks to them; here the memory of this process plays Azure's."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem
from support.buckets import connection_id
from support.stored_jobs import failure, file, folder, one, path_of, refused

READS = b"ACGT\n"
SHA1 = f"sha1${hashlib.sha1(READS).hexdigest()}"


class Blobs(MemoryFileSystem):  # type: ignore[misc]
    """A store; ``more`` is added to each listing of ``d``, ``replaced`` written while an object is read."""

    protocol = ("abfs",)
    store: dict[str, Any] = {}
    pseudo_dirs = [""]
    more: tuple[dict[str, Any], ...] = ()
    replaced: bytes | None = None

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(super()._strip_protocol(str(path).removeprefix("abfs://")))

    def ls(self, path: str, detail: bool = True, **options: Any) -> Any:
        """List a folder."""
        found = super().ls(path, detail=detail, **options)
        return [*found, *self.more] if path.endswith("/d") else found

    def _open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        file = super()._open(path, mode=mode, **options)
        if mode == "rb" and self.replaced is not None:
            del self.store[path]
            self.pipe(path, self.replaced)
        return file


@pytest.fixture
def blobs(monkeypatch: pytest.MonkeyPatch, folders: Path) -> Blobs:
    """A store with a file and a folder, of which jobs may read what is in ``data``."""
    from airflow.sdk.io import attach

    name = f"{connection_id()}#1"
    system = Blobs(skip_instance_cache=True)
    system.store.clear()
    attach("abfs", conn_id=name, fs=system)
    monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", "wasb://x")
    monkeypatch.setenv("AIRFLOW__CWL__STORAGE_ROOTS", f"abfs://{name}@container/data")
    system.pipe("/container/data/d/reads", READS)
    system.pipe("/container/data/d/deeper/more", b"more")
    return system


def test_another_store_is_read_by_what_speaks_to_it(blobs: Blobs) -> None:
    assert path_of(one(file("abfs://container/data/d/reads", checksum=SHA1))).read_bytes() == READS
    top = path_of(one(folder("abfs://container/data/d")))
    assert (top / "deeper" / "more").read_bytes() == b"more"
    blobs.pipe("/container/data/d/reads", b"other")
    assert path_of(one(file("abfs://container/data/d/reads"))).read_bytes() == b"other"


@pytest.mark.parametrize("item", [file("abfs://container/data/d/reads"), folder("abfs://container/data/d")])
def test_what_is_written_anew_while_it_is_read_is_told(blobs: Blobs, item: dict[str, Any]) -> None:
    blobs.replaced = b"other"
    error = failure(item)
    assert (error.kind, "was changed" in str(error)) == ("temporaryFail", True)


@pytest.mark.parametrize(
    ("name", "kind", "match"),
    [
        ("..", "directory", "between slashes"),
        ("/", "directory", "a folder has a name"),
        ("..\\..\\x", "file", "between slashes"),
        ("reads", "file", "become one file"),
    ],
)
def test_names_of_a_store_lead_nowhere_else(blobs: Blobs, name: str, kind: str, match: str) -> None:
    blobs.more = ({"name": f"/container/data/d/{name}", "type": kind, "size": 5, "created": "now"},)
    error = failure(folder("abfs://container/data/d"))
    assert (error.kind, match in str(error)) == ("permanentFail", True), str(error)


def test_a_size_below_zero_is_none(blobs: Blobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would make room for others in what a run may fetch."""
    blobs.more = ({"name": "/container/data/d/less", "type": "file", "size": -100, "created": "now"},)
    monkeypatch.setenv("AIRFLOW__CWL__MAX_FETCHED_SIZE", "8")
    assert "max_fetched_size" in str(failure(folder("abfs://container/data/d")))


def test_a_scheme_that_nothing_speaks_is_told(monkeypatch: pytest.MonkeyPatch, folders: Path) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__STORAGE_ROOTS", "gopher://bucket")
    error = failure(file("gopher://bucket/a"))
    assert "no provider of Airflow that speaks gopher://" in str(error)
    assert error.kind == "permanentFail"


def test_nothing_is_read_by_sftp(monkeypatch: pytest.MonkeyPatch, folders: Path) -> None:
    assert "[cwl] storage_roots" in refused(file("sftp://host/a"))
