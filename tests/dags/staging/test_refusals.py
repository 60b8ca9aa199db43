"""What no job may name, and which workflows tasks without common folders can't run."""

from __future__ import annotations

from typing import Any, cast

import pytest
from cwltool.process import Process

from cwl_ui_plugin.cwl.engine import secrets
from cwl_ui_plugin.cwl.errors import JobError
from cwl_ui_plugin.dags.access.file_access import file_rules
from cwl_ui_plugin.fetching.errors import HostNotAllowed

DIGEST = 64 * "a"


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> str:
    """A bucket that jobs may read, but for what tasks hand on in it."""
    monkeypatch.setenv("AIRFLOW__CWL__STORAGE_ROOTS", "s3://reads@bucket, s3a://reads@bucket")
    monkeypatch.setenv("AIRFLOW__CWL__INTERMEDIATE_STORAGE", "s3://own@bucket/cwl/values")
    return "bucket"


@pytest.mark.parametrize("scheme", ["s3", "S3", "s3a"])
@pytest.mark.parametrize("key", [f"cwl/values/sha256/aa/{DIGEST}", "cwl/values/runs/x"])
def test_no_job_names_what_tasks_hand_on(bucket: str, scheme: str, key: str) -> None:
    with pytest.raises(HostNotAllowed, match="intermediate_storage"):
        file_rules().storage.address(f"{scheme}://{bucket}/{key}")


@pytest.mark.parametrize("key", ["", "cwl", "cwl/values", "cwl/values/sha256/aa"])
def test_no_job_names_a_folder_that_has_it_in_it(bucket: str, key: str) -> None:
    with pytest.raises(HostNotAllowed, match="intermediate_storage"):
        file_rules().storage.address(f"s3://{bucket}/{key}", is_folder=True)


@pytest.mark.parametrize("key", ["cwl/values2/x", "cwl/x", "x"])
def test_what_lies_beside_it_can_be_named(bucket: str, key: str) -> None:
    assert file_rules().storage.address(f"s3://{bucket}/{key}").key == key
    assert file_rules().storage.address(f"s3://{bucket}/{key}", is_folder=True).key == key


def test_secrets_that_nobody_keeps_are_refused_by_their_names() -> None:
    class Asking:
        def get_requirement(self, _name: str) -> tuple[dict[str, Any], bool]:
            return {"secrets": ["file:///x.cwl#main/password"]}, True

    process = cast("Process", Asking())
    with pytest.raises(JobError, match=r"nobody who keeps.*password"):
        secrets.hide(process, {"password": "sesame"}, None, must_keep=True)
    secrets.hide(process, {}, None, must_keep=True)
