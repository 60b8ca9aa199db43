"""A bucket that outputs are written to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.buckets import Buckets, buckets, connection_id
from support.results import BUCKET, PART

from cwl_ui_plugin.fetching.storage_roots import StorageRoot
from cwl_ui_plugin.storing import s3_uploads


@pytest.fixture(scope="module")
def server() -> Iterator[Buckets]:
    with buckets() as running:
        yield running


@pytest.fixture
def store(server: Buckets, monkeypatch: pytest.MonkeyPatch) -> Iterator[Buckets]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(s3_uploads, "PAUSES", (0.01, 0.01))
    monkeypatch.setattr(s3_uploads, "PART_BYTES", PART)
    server.client.create_bucket(Bucket=BUCKET)
    server.asked.clear()
    yield server
    server.moods.clear()
    server.clear(BUCKET)
    server.client.delete_bucket(Bucket=BUCKET)


@pytest.fixture
def root(store: Buckets, monkeypatch: pytest.MonkeyPatch) -> StorageRoot:
    name = connection_id()
    monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", store.connection())
    return StorageRoot.parse(f"s3://{name}@{BUCKET}/of", "[cwl] outputs_folder")
