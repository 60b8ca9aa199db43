"""What the site asks of tools comes from its configuration, and into every task."""

from __future__ import annotations

from pathlib import Path

import pytest

from cwl_ui_plugin.config import ConfigError
from cwl_ui_plugin.cwl.containers.policy import ANYTHING, ContainerPolicy
from cwl_ui_plugin.dags.site import site_policy


@pytest.mark.parametrize(
    ("options", "policy"),
    [
        ({}, ANYTHING),
        ({"REQUIRE_CONTAINER": "True"}, ContainerPolicy(required=True, allow_network=False)),
        (
            {"REQUIRE_CONTAINER": "True", "ALLOW_CONTAINER_NETWORK": "True"},
            ContainerPolicy(required=True, allow_network=True),
        ),
        ({"ALLOW_CONTAINER_NETWORK": "False"}, ContainerPolicy(allow_network=False)),
        ({"ALLOWED_IMAGES": " debian, quay.io/x/* ,"}, ContainerPolicy(images=("debian", "quay.io/x/*"))),
        ({"ALLOWED_IMAGES": '["debian", "a,b"]'}, ContainerPolicy(images=("debian", "a,b"))),
    ],
)
def test_options(monkeypatch: pytest.MonkeyPatch, options: dict[str, str], policy: ContainerPolicy) -> None:
    for name, value in options.items():
        monkeypatch.setenv(f"AIRFLOW__CWL__{name}", value)
    assert site_policy() == policy


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("ALLOWED_IMAGES", value) for value in ("[debian]", "[]", "[1]", '[""]')),
        ("ALLOW_CONTAINER_NETWORK", "perhaps"),
    ],
)
def test_a_list_that_can_not_be_read_allows_nothing(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"AIRFLOW__CWL__{name}", value)
    with pytest.raises(ConfigError, match=name.lower()):
        site_policy()


def test_tasks_are_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from cwl_ui_plugin.dags.folders.run_folder import TaskTry
    from cwl_ui_plugin.dags.operators import CwlStepOperator, Document

    monkeypatch.setenv("AIRFLOW__CWL__TMP_FOLDER", str(tmp_path))
    monkeypatch.setenv("AIRFLOW__CWL__REQUIRE_CONTAINER", "True")
    operator = CwlStepOperator(task_id="x", document=Document(tmp_path, tmp_path))
    settings = operator.run_settings(TaskTry("dag", "run", "x", -1, 1))
    assert settings.containers == ContainerPolicy(required=True, allow_network=False)
