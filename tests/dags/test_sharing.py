"""Whether machines share folders: ``[cwl] intermediate_storage`` and what may stand there."""

from __future__ import annotations

import pytest

from cwl_ui_plugin import config
from cwl_ui_plugin.dags.sharing import shares_folders
from cwl_ui_plugin.fetching import site
from cwl_ui_plugin.services import health


@pytest.fixture
def storage(monkeypatch):
    return lambda entry: monkeypatch.setenv("AIRFLOW__CWL__INTERMEDIATE_STORAGE", entry)


def test_folders_are_shared_unless_there_is_a_storage(storage):
    assert shares_folders()
    assert site.intermediate_root() is None
    storage("  s3://aws_cwl@intermediate/production ")
    assert not shares_folders()
    root = site.intermediate_root()
    assert root is not None
    assert (root.scheme, root.bucket, root.prefix, root.connection) == ("s3", "intermediate", "production/", "aws_cwl")


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("/mnt/shared", "no place of a store"),
        ("https://example.org/x", "no store of objects"),
        ("s3://a/../b", "is not read"),
        ("s3://one/a, s3://two/b", "one place"),
    ],
)
def test_what_is_no_place_of_a_store_is_said_without_its_login(storage, entry, problem):
    storage(entry)
    with pytest.raises(config.ConfigError, match=r"\[cwl\] intermediate_storage.*" + problem):
        site.intermediate_root()
    assert any(problem in text for text in health.problems())
