"""Places of object stores: whether they can be used is told in words, and one that is silent keeps nobody waiting."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.buckets import Buckets, buckets, connection_id, refusing

from cwl_ui_plugin.cli import stores
from cwl_ui_plugin.services import health
from cwl_ui_plugin.services.observing import checks, places


@pytest.fixture(scope="module")
def server() -> Iterator[Buckets]:
    with buckets() as running:
        for name in ("reads", "made"):
            running.client.create_bucket(Bucket=name)
        yield running


@pytest.fixture
def store(server: Buckets, airflow_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Buckets]:
    name = connection_id()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", server.connection())
    monkeypatch.setenv("AIRFLOW__CWL__STORAGE_ROOTS", f"s3://{name}@reads")
    for option in ("OUTPUTS_FOLDER", "UPLOADS_STORAGE", "INTERMEDIATE_STORAGE", "WORKFLOWS_STORAGE"):
        monkeypatch.setenv(f"AIRFLOW__CWL__{option}", f"s3://{name}@made/{option}")
    for option in ("WORKFLOWS", "INPUTS", "TMP"):
        monkeypatch.setenv(f"AIRFLOW__CWL__{option}_FOLDER", str(tmp_path / option))
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH", str(tmp_path / "bundles"))
    checks.forget()
    places._kept.clear()
    server.asked.clear()
    yield server
    server.moods.clear()
    places._kept.clear()
    checks.forget()


def check() -> checks.Check | None:
    checks.forget()
    return next((one for one in checks.checks() if one.name == "stores"), None)


def test_each_place_is_looked_into_and_written_to(store: Buckets) -> None:
    assert [(told.name, told.problem) for told in places.tried()] == [
        ("s3://reads/ ([cwl] storage_roots)", ""),
        ("s3://made/OUTPUTS_FOLDER/ ([cwl] outputs_folder)", ""),
        ("s3://made/UPLOADS_STORAGE/ ([cwl] uploads_storage)", ""),
        ("s3://made/INTERMEDIATE_STORAGE/ ([cwl] intermediate_storage)", ""),
        ("s3://made/WORKFLOWS_STORAGE/ ([cwl] workflows_storage)", ""),
    ]
    assert store.client.list_objects_v2(Bucket="made").get("Contents") is None, "nothing is left"


def test_a_login_that_may_not_write_is_told(store: Buckets, capsys: pytest.CaptureFixture[str]) -> None:
    refused = refusing("403 Forbidden", code="AccessDenied", message="the secret")
    store.moods.append(lambda environ, start: refused(environ, start) if environ["REQUEST_METHOD"] == "PUT" else None)
    told = places.tried()
    assert [bool(one.problem) for one in told] == [False, True, True, True, True]
    assert "may not write it" in told[-1].problem
    assert stores.main() == 1
    said = capsys.readouterr().out
    assert "s3://reads/ ([cwl] storage_roots): can be looked into\n" in said
    assert "the secret" not in said


def test_health_looks_and_writes_nothing_and_not_all_the_time(store: Buckets) -> None:
    found = check()
    assert found is not None
    assert found.status == "ok"
    asked = [entry for entry in store.asked if "/reads" in entry]
    assert len(asked) == 1
    assert not [entry for entry in store.asked if entry.startswith(("PUT", "DELETE"))]
    check()
    assert [entry for entry in store.asked if "/reads" in entry] == asked
    store.moods.append(refusing("403 Forbidden", code="AccessDenied"))
    places._kept.clear()
    found = check()
    assert found is not None
    assert found.status == "warn"
    assert "[cwl] workflows_storage" in found.message


def test_a_bucket_of_workflows_that_is_away_takes_no_server_out_of_service(store: Buckets) -> None:
    store.moods.append(refusing("403 Forbidden", code="AccessDenied"))
    checks.forget()
    found = {one.name: one for one in checks.checks()}
    assert (found["bundle"].status, "bucket of workflows" in found["bundle"].message) == ("warn", True)
    assert checks.worst(tuple(found.values())) == "warn"


def test_a_silent_store_is_told_in_time(store: Buckets, monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()
    store.moods.append(lambda _environ, _start: over.wait(60) and None)
    told = places.tried(0.2)
    over.set()
    assert all("within 0.2 seconds" in one.problem for one in told)


def test_without_places_nothing_is_told(airflow_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for option in ("WORKFLOWS", "INPUTS", "OUTPUTS", "TMP"):
        monkeypatch.setenv(f"AIRFLOW__CWL__{option}_FOLDER", str(tmp_path / option))
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH", str(tmp_path / "bundles"))
    assert check() is None
    assert places.tried() == []


def test_places_that_overlap_are_told(store: Buckets, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__WORKFLOWS_STORAGE", "s3://x@made")
    assert [problem for problem in health.storage_problems() if "workflows_storage" in problem and "overlap" in problem]
    monkeypatch.setenv("AIRFLOW__CWL__WORKFLOWS_STORAGE", "gs://x@made/w")
    assert [problem for problem in health.storage_problems() if "speaks S3" in problem]
    assert stores.main() == 1
