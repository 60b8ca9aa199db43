"""What goes by moto's server goes by the S3 API of OpenStack Swift, too, which checks signatures, and is another."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from dags.staging import test_results, test_values
from support.buckets import Buckets
from support.staged import BUCKET, PREFIX, Machines, file, folder, go_on, path_of
from support.swift import swift

from cwl_ui_plugin.dags.staging import marks
from cwl_ui_plugin.dags.staging.objects import Objects
from cwl_ui_plugin.fetching import site, storage
from cwl_ui_plugin.fetching.errors import NotThere
from cwl_ui_plugin.fetching.storage_roots import StorageAddress, StorageRoot
from cwl_ui_plugin.services.cleaning import unused_objects
from cwl_ui_plugin.storing import s3_uploads
from cwl_ui_plugin.storing.put import given_up

LARGE = bytes(range(256)) * (s3_uploads.PART_BYTES // 128) + b"the end"
"""Three parts: Swift takes none that is smaller than 5 MiB, but the last."""

# These are run here, too, with Swift as their store.
test_a_file_with_all_that_belongs_to_it = test_values.test_a_file_comes_to_another_machine_with_all_that_belongs_to_it
test_a_file_that_can_be_executed = test_values.test_a_file_that_can_be_executed_can_be_there
test_a_folder = test_values.test_a_folder_comes_as_it_was
test_an_object_of_another_run = test_values.test_an_object_of_another_run_is_not_had
test_what_another_run_has_made = test_results.test_any_run_finds_what_another_has_made_where_reuse_is_on
test_objects_that_are_gone = test_results.test_a_step_whose_objects_are_gone_is_run_again_and_kept_again
reusing = test_results.reusing


@pytest.fixture(scope="module")
def buckets_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Buckets]:
    with swift(tmp_path_factory.mktemp("swift")) as running:
        yield running


def root_of(machines: Machines) -> StorageRoot:
    machines.task()
    root = site.intermediate_root()
    assert root is not None
    return root


def test_a_large_file_goes_in_parts_and_is_written_anew_by_the_store(machines: Machines) -> None:
    one = machines.task("one")
    path = one.task.folder / "large"
    path.write_bytes(LARGE)
    given = one.put(file(path))
    assert path_of(machines.task("two").fetch(given)).read_bytes() == LARGE
    key = f"sha256/{hashlib.sha256(LARGE).hexdigest()[:2]}/{hashlib.sha256(LARGE).hexdigest()}"
    store = Objects(root_of(machines))
    before = store.written(key, go_on)
    store.touch(key, go_on)
    after = store.written(key, go_on)
    assert before is not None
    assert after is not None
    assert after >= before
    assert path_of(machines.task("three").fetch(given)).read_bytes() == LARGE
    assert machines.server.client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", []) == []


def test_uploads_that_were_left_are_given_up(machines: Machines) -> None:
    root, client = root_of(machines), machines.server.client
    for key in (f"{PREFIX}/x", "elsewhere"):
        client.create_multipart_upload(Bucket=BUCKET, Key=key)
    address = StorageAddress(root, f"{PREFIX}/")
    assert given_up(address, patience=Objects(root)._patience(address)) == 1
    (left,) = client.list_multipart_uploads(Bucket=BUCKET)["Uploads"]
    assert left["Key"] == "elsewhere"
    client.abort_multipart_upload(Bucket=BUCKET, Key="elsewhere", UploadId=left["UploadId"])


def test_inputs_come_from_there(machines: Machines, tmp_path: Path) -> None:
    limits, names = site.document_limits(), ["a b#1%41.txt", "Ünï.txt", "+.txt", "d/e/f"]
    root = root_of(machines)
    for name in names:
        machines.server.put(BUCKET, f"{PREFIX}/{name}", name.encode())
    found = storage.listed(StorageAddress(root, PREFIX), 100, "[cwl] x", limits, go_on)
    assert sorted(one.address.key for one in found) == sorted(f"{PREFIX}/{name}" for name in names)
    for one in found:
        again = storage.find(one.address, limits, go_on)
        path = tmp_path / hashlib.sha256(one.address.key.encode()).hexdigest()
        storage.fetch_object(again, path, limits, storage.transfer_deadline(one.address, limits))
        assert f"{PREFIX}/{path.read_text()}" == one.address.key
    with pytest.raises(NotThere, match="no s3://"):
        storage.find(StorageAddress(root, f"{PREFIX}/not-there"), limits, go_on)


def test_another_secret_opens_nothing(machines: Machines, monkeypatch: pytest.MonkeyPatch) -> None:
    root = root_of(machines)
    connection = machines.server.connection().replace("a-secret", "another-secret")
    monkeypatch.setenv(f"AIRFLOW_CONN_{root.connection.upper()}", connection)
    with pytest.raises(NotThere, match="is wrong, or may not write"):
        Objects(root).put_text("x", b"x", go_on)


def test_what_no_run_uses_goes(machines: Machines, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(marks, "OLD_SECONDS", -10.0)
    for run in ("kept", "gone"):
        task = machines.task("one", run=run)
        inner = task.task.folder / "d"
        inner.mkdir()
        (inner / "large").write_bytes(run.encode() * 50_000)
        task.put(folder(inner))
    monkeypatch.setattr(unused_objects, "PARTS", sorted({key.split("/")[-2] for key in machines.names()}))
    assert unused_objects.Sweep(lambda: [("dag", "kept")]).go_on() == 2
    assert len(machines.names()) == 2
    assert not machines.names("sweeping/")
