"""Outputs in object stores: places of a store are claimed as folders are, and no run reads another Dag's."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from uuid import uuid4

import pytest
from support.buckets import buckets, connection_id, refusing

from cwl_ui_plugin import config, store_paths
from cwl_ui_plugin.config import ConfigError
from cwl_ui_plugin.cwl.errors import FolderTaken, JobError, StepError
from cwl_ui_plugin.dags.access.file_access import file_rules
from cwl_ui_plugin.dags.folders import claims, placement
from cwl_ui_plugin.dags.folders.placement import check_writable, folders_of, hold, hold_part
from cwl_ui_plugin.fetching import site
from cwl_ui_plugin.fetching.errors import HostNotAllowed
from cwl_ui_plugin.storing import s3_uploads
from cwl_ui_plugin.storing.site import stored_folder

CREATED = datetime(2026, 1, 1, tzinfo=timezone.utc)


@pytest.fixture
def stores(airflow_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("workflows", "inputs", "tmp", "reuse"):
        monkeypatch.setenv(f"AIRFLOW__CWL__{name.upper()}_FOLDER", str(tmp_path / name))
    monkeypatch.setenv("AIRFLOW__CWL__OUTPUTS_FOLDER", "s3://writer@results/of us")
    monkeypatch.setenv("AIRFLOW__CWL__OUTPUT_ROOTS", f"{tmp_path}/here:s3://other@lab:s3://results/of others/")


def address(dag_id: str = "wf", run_id: str = "r", **job: object) -> str | None:
    return store_paths.address_of(folders_of(dag_id, run_id, job).outputs.path)


def test_runs_have_their_places_below_the_one_of_the_site_or_where_it_lets_jobs_choose(
    stores: None, tmp_path: Path
) -> None:
    assert address() == "s3://results/of us/wf/r"
    assert address(output_folder="mine/x") == "s3://results/of us/wf/mine/x"
    assert address(output_folder="s3://lab/x y/#1") == "s3://lab/x y/#1"
    assert folders_of("wf", "r", {"output_folder": f"{tmp_path}/here/x"}).outputs.path == tmp_path / "here" / "x"
    found = stored_folder(folders_of("wf", "r", {"output_folder": "s3://results/of others/x"}).outputs.path)
    assert found is not None
    assert (found.address.root.connection, found.address.root.option) == (None, "[cwl] output_roots")
    assert found.location("a/b") == "s3://results/of others/x/a/b"


@pytest.mark.parametrize(
    ("job", "match"),
    [
        ({"output_folder": "s3://elsewhere/x"}, "output_roots"),
        ({"output_folder": "s3://results/of us/wf2"}, "not in a folder that jobs may name"),
        ({"output_folder": "s3://key:secret@lab/x"}, "names a connection"),
        ({"output_folder": "s3://lab/a/../../results"}, r"'\.\.'"),
        ({"output_folder": "s3://lab/a//b"}, "no name"),
        ({"output_folder": "../x"}, r"'\.\.'"),
        ({"output_folder": "results?versionId=1"}, "versionId"),
        ({"output_folder": "a\\..\\b"}, r"\. or \.\."),
        ({"output_folder": "/".join("a" * 110)}, "parts between slashes"),
        ({"tmp_folder": "s3://lab/x"}, "on a disk"),
    ],
)
def test_a_job_may_choose_no_other_place(stores: None, job: dict[str, object], match: str) -> None:
    with pytest.raises(JobError, match=match) as error:
        address(**job)
    assert "secret" not in str(error.value)


def test_two_runs_never_have_one_place_nor_one_in_the_other(stores: None) -> None:
    hold("wf", "1", CREATED, {"output_folder": "s3://lab/x/y"})
    for place in ("s3://lab/x/y", "s3://lab/x", "s3://lab/x/y/z"):
        with pytest.raises(FolderTaken, match="s3://lab/x"):
            hold("wf", "2", CREATED, {"output_folder": place})
    hold("wf", "2", CREATED, {"output_folder": "s3://lab/X/y"})
    part = hold_part("wf", "3", CREATED, "align").folders.outputs.path
    assert placement.delivered_by("wf", "3", CREATED) == (part,)
    claims.record_of(part).touch()
    assert claims.is_in_use(part)


def test_nobody_reads_outputs_but_who_was_granted_them(stores: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__STORAGE_ROOTS", "s3://reader@results, s3://reader@public")
    location, path = "s3://results/of us/wf/r/x", config.outputs_folder() / "wf"
    assert site.storage_rules().address("s3://results/inputs/x").root.connection == "reader"
    for rules in (file_rules(), file_rules([config.outputs_folder() / "wf2"])):
        with pytest.raises(HostNotAllowed, match="may see the workflow"):
            rules.storage.address(location)
        for above in ("s3://results", "s3://results/of us/wf"):
            with pytest.raises(HostNotAllowed):
                rules.storage.address(above, is_folder=True)
    found = file_rules([path]).storage.address(location)
    assert found.root.connection == "writer"
    assert file_rules([path]).storage.address("s3://results/of us/wf/r", is_folder=True).key == "of us/wf/r"
    with pytest.raises(HostNotAllowed):
        file_rules([path]).storage.address("s3://results/of us", is_folder=True)


@pytest.mark.parametrize("place", ["s3://a@b/x/../y", "s3://b/x//y", "sftp://a@b/x"])
def test_a_place_that_is_none_is_told(stores: None, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__OUTPUTS_FOLDER", place)
    with pytest.raises(ConfigError, match=r"\[cwl\] outputs_folder"):
        site.destinations()


def test_no_folder_is_made_for_a_place_in_a_store(stores: None, tmp_path: Path) -> None:
    config.make_folders()
    assert not config.outputs_folder().exists()
    assert not (tmp_path / "s3:").exists()


def test_a_place_that_can_not_be_written_to_is_told_before_a_run_begins(
    stores: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, bucket = connection_id(), f"results-{uuid4().hex}"
    monkeypatch.setattr(s3_uploads, "PAUSES", ())
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("AIRFLOW__CWL__OUTPUTS_FOLDER", f"s3://{name}@{bucket}")
    place = folders_of("wf", "r", {}).outputs
    with pytest.raises(
        StepError, match=r"the Connection that \[cwl\] outputs_folder names for it is not there"
    ) as gone:
        check_writable(place)
    assert gone.value.kind == "temporaryFail"
    with buckets() as store:
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", store.connection())
        with pytest.raises(StepError, match="no such bucket") as missing:
            check_writable(place)
        assert missing.value.kind == "permanentFail"
        store.client.create_bucket(Bucket=bucket)
        check_writable(place)
        store.moods.append(refusing("403 Forbidden", code="SignatureDoesNotMatch"))
        with pytest.raises(StepError, match="the login of the Connection"):
            check_writable(place)


def test_a_store_is_a_path_that_no_disk_has() -> None:
    path = store_paths.path_of("S3://a@b/x/y z")
    assert path == Path("/dev/null/stores/s3/b/x/y z")
    assert store_paths.address_of(path) == "s3://b/x/y z"
    for other in ("file:///x", "/x", "https://a/b", "s3://", 5, "x"):
        assert store_paths.path_of(other) is None
    assert store_paths.text_of(Path("/x")) == "/x"
