"""Tasks that share nothing but a store: each has a machine, which is a folder, of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from support.buckets import Buckets, connection_id

from cwl_ui_plugin.dags.staging.staged_objects import StagedObjects, Try
from cwl_ui_plugin.fetching.site import intermediate_root

BUCKET = "intermediate"
PREFIX = "cwl"


def go_on() -> None:
    """Nobody stops anything."""


def file(path: Path, **more: Any) -> dict[str, Any]:
    return {"class": "File", "location": path.as_uri(), "basename": path.name, **more}


def folder(path: Path, **more: Any) -> dict[str, Any]:
    return {"class": "Directory", "location": path.as_uri(), "basename": path.name, **more}


def path_of(item: dict[str, Any]) -> Path:
    from cwl_ui_plugin.cwl.files import local_path

    found = local_path(item)
    assert found is not None, item
    return found


@dataclass
class Machines:
    """A store, and machines that see nothing of each other."""

    server: Buckets
    place: Path
    monkeypatch: pytest.MonkeyPatch
    count: int = 0
    on_wait: Callable[[], None] = field(default=go_on)

    def task(
        self, machine: str = "one", run: str = "run", may_read: Callable[[Path], bool] | None = None
    ) -> StagedObjects:
        """Return the staging of a new task there; it may read what is on its machine, and no other."""
        top = self.place / machine
        self.monkeypatch.setenv("AIRFLOW__CWL__TMP_FOLDER", str(top / "tmp"))
        self.count += 1
        made = top / "tmp" / "dag" / run / str(self.count)
        made.mkdir(parents=True)
        root = intermediate_root()
        assert root is not None
        allowed = may_read or (lambda path: path.is_relative_to(top.resolve()))
        return StagedObjects(root, Try("dag", run, f"task.-1.{self.count}", made), allowed, lambda: self.on_wait())

    def kept(self, machine: str = "one") -> list[Path]:
        """Return the files of the cache of a machine."""
        return sorted(path for path in (self.place / machine / "tmp" / ".objects").glob("??/*"))

    def names(self, prefix: str = "sha256/") -> list[str]:
        """Return the keys in the store."""
        pages = self.server.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=f"{PREFIX}/{prefix}")
        return [entry["Key"] for page in pages for entry in page.get("Contents", ())]

    def asked(self, method: str, part: str = "/sha256/") -> list[str]:
        """Return what the store was asked for."""
        return [asked for asked in self.server.asked if asked.startswith(f"{method} ") and part in asked]


@pytest.fixture
def machines(buckets_server: Buckets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machines]:
    """Machines with an empty store."""
    name = connection_id()
    monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", buckets_server.connection())
    monkeypatch.setenv("AIRFLOW__CWL__INTERMEDIATE_STORAGE", f"s3://{name}@{BUCKET}/{PREFIX}")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    buckets_server.client.create_bucket(Bucket=BUCKET)
    buckets_server.asked.clear()
    found = Machines(buckets_server, tmp_path / "machines", monkeypatch)
    yield found
    buckets_server.moods.clear()
    buckets_server.clear(BUCKET)
    buckets_server.client.delete_bucket(Bucket=BUCKET)
