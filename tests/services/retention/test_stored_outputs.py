"""Outputs in a bucket go as those in folders do: what a run has delivered, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.buckets import Buckets, buckets, connection_id, refusing

from cwl_ui_plugin import config
from cwl_ui_plugin.cwl.engine.outputs.delivery import Destination, deliver
from cwl_ui_plugin.dags.folders import claims
from cwl_ui_plugin.dags.folders.claims import Claim
from cwl_ui_plugin.fetching.errors import Away
from cwl_ui_plugin.services.cleaning import cleanup
from cwl_ui_plugin.services.observing import checks
from cwl_ui_plugin.services.retention import outputs, sizes
from cwl_ui_plugin.storing import s3_uploads
from cwl_ui_plugin.storing.site import stored_folder

Keep = Callable[..., None]
OURS = {".cwl-outputs.json", ".cwl-record.json"}


@pytest.fixture
def bucket(folders: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Buckets]:
    name = connection_id()
    with buckets() as running:
        monkeypatch.setattr(s3_uploads, "PAUSES", ())
        monkeypatch.setattr(cleanup, "CLAIMED_SECONDS", 0)
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", running.connection())
        monkeypatch.setenv("AIRFLOW__CWL__OUTPUTS_FOLDER", f"s3://{name}@results/of us")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        running.client.create_bucket(Bucket="results")
        yield running


@pytest.fixture
def folder(bucket: Buckets, workflow: str, run_id: str, tmp_path: Path, age: Keep, runs: Any) -> Path:
    """The place of a run that has delivered 11 days ago, and was deleted, beside what others have put there."""
    made = tmp_path / "made"
    (made / "d" / "empty").mkdir(parents=True)
    for name in ("a.txt", "d/b.txt"):
        (made / name).write_text(name)
    path = config.outputs_folder() / workflow / run_id
    value = {
        "a": {"class": "File", "location": (made / "a.txt").as_uri()},
        "d": {"class": "Directory", "location": (made / "d").as_uri()},
    }
    record, lock, claim = claims.record_of(path), claims.file_of(path), claims.of(path)
    assert claim is not None
    store = stored_folder(path)
    deliver(value, Destination(path, path, record=record, lock=lock, store=store, owner=claim.owner))
    for name in ("theirs.txt", "d/theirs.txt"):
        bucket.put("results", f"of us/{workflow}/{run_id}/{name}", b"theirs")
    runs.end(run_id, days_ago=11)
    runs.delete(run_id)
    age(11, record, lock)
    return path


def names(bucket: Buckets) -> set[str]:
    found = bucket.client.list_objects_v2(Bucket="results").get("Contents", ())
    return {entry["Key"].split("/", 3)[3] for entry in found}


def removed() -> list[str]:
    return [str(item.run_id) for item in outputs.find() if outputs.remove(item)]


def test_what_was_delivered_goes_and_what_others_have_put_there_stays(
    bucket: Buckets, folder: Path, run_id: str, keep: Keep
) -> None:
    assert names(bucket) == {"a.txt", "d/b.txt", "d/empty/", *OURS, "theirs.txt", "d/theirs.txt"}
    assert removed() == []
    keep(outputs=10)
    assert removed() == [run_id]
    assert names(bucket) == {"theirs.txt", "d/theirs.txt"}
    assert claims.of(folder) is None
    assert not claims.record_of(folder).exists()


def test_where_the_store_does_not_remove_it_is_tried_again(
    bucket: Buckets, folder: Path, run_id: str, keep: Keep
) -> None:
    keep(outputs=10)
    bucket.moods.append(refusing("503 Slow Down"))
    with pytest.raises(Away):
        removed()
    bucket.moods.clear()
    assert claims.record_of(folder).exists()
    assert removed() == [run_id]


def test_what_a_worker_with_folders_of_its_own_has_delivered_keeps_its_claim_and_goes_in_time(
    bucket: Buckets, folder: Path, run_id: str, keep: Keep, age: Keep
) -> None:
    claims.record_of(folder).unlink()
    bucket.moods.append(refusing("503 Slow Down"))
    cleanup.release_unused_claims()
    bucket.moods.clear()
    assert claims.of(folder) is not None
    cleanup.release_unused_claims()
    assert claims.of(folder) is not None
    assert claims.is_in_use(folder)
    keep(outputs=10)
    assert removed() == []
    age(11, claims.record_of(folder), claims.file_of(folder))
    assert removed() == [run_id]
    assert names(bucket) == {"theirs.txt", "d/theirs.txt"}


def test_a_place_with_something_in_it_that_no_record_knows_stays_claimed_an_empty_one_not(
    bucket: Buckets, folder: Path, workflow: str, run_id: str
) -> None:
    claims.record_of(folder).unlink()
    bucket.client.delete_object(Bucket="results", Key=f"of us/{workflow}/{run_id}/.cwl-record.json")
    empty = Claim(workflow, "gone", str(config.outputs_folder() / workflow / "gone"), 1.0)
    claims.take(empty, config.outputs_folder())
    cleanup.release_unused_claims()
    assert claims.of(folder) is not None
    assert claims.of(empty.path) is None
    assert not claims.is_in_use(folder)


def test_pages_and_checks_name_the_store(bucket: Buckets, folder: Path) -> None:
    kind = next(kind for kind in sizes.KINDS if kind.name == "outputs")
    assert sizes._state(kind, None).place == "s3://results/of us"
    checks.forget()
    (check,) = [found for found in checks.checks() if found.name == "disk outputs"]
    assert (check.status, check.message) == (checks.OK, "The object store answers.")
    bucket.moods.append(refusing("403 Forbidden", code="InvalidAccessKeyId"))
    checks.forget()
    (check,) = [found for found in checks.checks() if found.name == "disk outputs"]
    assert check.status == checks.WARN
    assert "[cwl] outputs_folder" in check.message
