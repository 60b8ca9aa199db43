"""Machines that have nothing in common but a bucket of workflows."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.buckets import Buckets, Mood, buckets, connection_id
from support.stored import add_version, plan_of

from cwl_ui_plugin.fetching.storage_roots import WORKFLOWS_OPTION, StorageRoot
from cwl_ui_plugin.library.shared import contents
from cwl_ui_plugin.library.shared.objects import Bucket
from cwl_ui_plugin.library.shared.store import SharedStore
from cwl_ui_plugin.library.store import WorkflowStore
from cwl_ui_plugin.library.versions import StoredVersion
from cwl_ui_plugin.storing import s3_uploads

BUCKET = "workflows"


@dataclass
class Machines:
    """``prefix`` is that of this test; each machine has a folder below ``top``."""

    server: Buckets
    top: Path
    connection: str
    prefix: str

    @property
    def option(self) -> str:
        """The value of the option."""
        return f"s3://{self.connection}@{BUCKET}/{self.prefix}"

    def another(self, name: str) -> Machines:
        """Machines with a prefix, and folders, of their own."""
        return Machines(self.server, self.top / name, self.connection, f"{self.prefix}-{name}")

    def store(self, name: str) -> SharedStore:
        """The store of a machine, as another process of it sees it."""
        return SharedStore(self.top / name, Bucket(StorageRoot.parse(self.option, WORKFLOWS_OPTION)))

    def names(self) -> list[str]:
        """What the bucket has."""
        listed = self.server.client.list_objects_v2(Bucket=BUCKET, Prefix=f"{self.prefix}/")
        return sorted(entry["Key"][len(self.prefix) + 1 :] for entry in listed.get("Contents", ()))

    def read(self, name: str) -> bytes:
        content: bytes = self.server.client.get_object(Bucket=BUCKET, Key=f"{self.prefix}/{name}")["Body"].read()
        return content

    def put(self, name: str, content: bytes) -> None:
        self.server.client.put_object(Bucket=BUCKET, Key=f"{self.prefix}/{name}", Body=content)

    def asked(self, do: Callable[[], object]) -> list[str]:
        """What the bucket is asked while something is done: methods, with what below the prefix."""
        before = len(self.server.asked)
        do()
        found = [entry.split(" ") for entry in self.server.asked[before:]]
        return [f"{entry[0]} {entry[1].partition(self.prefix)[2].strip('/')}".strip() for entry in found]


def add(store: WorkflowStore, dag_id: str, content: str) -> StoredVersion:
    """Upload a workflow."""
    return add_version(store, dag_id, plan_of("sort", "count"), content)


def follow(store: SharedStore) -> None:
    """Do what a machine does from time to time."""
    store.refresh()
    contents.fill(store)


def content_of(version: StoredVersion) -> str:
    return (version.source / "main.cwl").read_text()


def facts(store: WorkflowStore) -> dict[str, Any]:
    """All that a store tells of its workflows."""
    return {
        dag_id: {
            "current": store.manifest_of(dag_id),
            "versions": {version.digest: content_of(version) for version in store.versions(dag_id)},
            "numbers": store.version_numbers(dag_id),
            "schedule": store.schedules(dag_id).current(),
            "approvals": store.approvals(dag_id).current(),
        }
        for dag_id in sorted(store.all_dag_ids())
    }


def new_prefix() -> str:
    return f"of/{uuid.uuid4().hex[:8]}"


def writes(mood: Mood) -> Mood:
    """Let a mood answer what would change something."""

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes] | None:
        return mood(environ, start_response) if environ["REQUEST_METHOD"] in ("PUT", "POST", "DELETE") else None

    return answer


@pytest.fixture(scope="session")
def workflows_server() -> Iterator[Buckets]:
    with buckets() as running:
        running.client.create_bucket(Bucket=BUCKET)
        yield running


def new_machines(server: Buckets, top: Path, patched: pytest.MonkeyPatch) -> Machines:
    """Return machines with a Connection of their own."""
    name = connection_id()
    patched.setenv("NO_PROXY", "127.0.0.1")
    patched.setenv(f"AIRFLOW_CONN_{name.upper()}", server.connection())
    patched.setattr(s3_uploads, "PAUSES", (0.0,))
    return Machines(server, top, name, new_prefix())


@pytest.fixture
def machines(workflows_server: Buckets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machines]:
    yield new_machines(workflows_server, tmp_path, monkeypatch)
    workflows_server.moods.clear()
