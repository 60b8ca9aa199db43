"""What the start of a schedule gives to inputs: outputs of other workflows, files of a watched folder."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.stored import add_version, plan_of

from cwl_ui_plugin.cwl.plan import Parameter
from cwl_ui_plugin.dags.scheduling import dag_arguments
from cwl_ui_plugin.library.schedules import Schedule
from cwl_ui_plugin.library.store import WorkflowStore
from cwl_ui_plugin.library.versions import StoredVersion
from cwl_ui_plugin.services.errors import BadRequest, InvalidJob
from cwl_ui_plugin.services.inputs.access import InputAccess, shared_only
from cwl_ui_plugin.services.scheduling import schedules
from cwl_ui_plugin.services.scheduling.details import detail_of
from cwl_ui_plugin.services.scheduling.schedules import Wanted

FILES = {"type": "array", "items": "File"}
INPUTS = (
    Parameter("counts", "File"),
    Parameter("all", ["null", FILES]),
    Parameter("label", "string"),
    Parameter("level", "int"),
)


@pytest.fixture
def taking(add: Callable[..., StoredVersion]) -> str:
    """The dag_id of a workflow that takes files."""
    dag_id = f"taking-{uuid.uuid4().hex[:8]}"
    add(dag_id, inputs=INPUTS)
    return dag_id


@pytest.fixture
def making(store: WorkflowStore) -> str:
    """The dag_id of a workflow with outputs."""
    dag_id = f"making-{uuid.uuid4().hex[:8]}"
    deliver(store, dag_id, Parameter("counts", "File"), Parameter("number", "int"))
    return dag_id


def deliver(store: WorkflowStore, dag_id: str, *outputs: Parameter) -> None:
    """Store a version of a workflow with these outputs, and make it known to Airflow."""
    from cwl_ui_plugin.dags.registration import register

    add_version(store, dag_id, replace(plan_of("a", inputs=()), outputs=outputs), str(outputs))
    register(dag_id)


def everything() -> InputAccess:
    return InputAccess("ada", lambda _dag_id: True)


def chain(dag_id: str, inputs: dict[str, str], files: InputAccess | None = None, **more: Any) -> Schedule:
    settings = {"inputs": inputs, **more.pop("settings", {})}
    job = {"label": "x", "level": 1, **more.pop("job", {})}
    wanted = Wanted(kind="assets", settings=settings, job=job, **more)
    return schedules.save(dag_id, wanted, user="ada", files=files or everything())


def watch(dag_id: str, place: Path, access: InputAccess | None = None, **more: Any) -> Schedule:
    settings = {"folder": str(place), "files": {"counts": "{s}.txt"}, "names": {"label": "s"}, **more}
    wanted = Wanted(kind="folder", settings=settings, job={"level": 1})
    return schedules.save(dag_id, wanted, user="ada", files=access or shared_only())


def references(dag_id: str) -> list[str]:
    """The assets that Airflow starts a Dag by."""
    from airflow.models.asset import AssetModel, DagScheduleAssetReference
    from airflow.utils.session import create_session
    from sqlalchemy import select

    query = select(AssetModel.name).join(DagScheduleAssetReference).where(DagScheduleAssetReference.dag_id == dag_id)
    with create_session() as session:
        return sorted(session.scalars(query))


def test_airflow_starts_a_workflow_by_the_outputs_that_its_inputs_are_given(
    taking: str, making: str, folders: Path
) -> None:
    saved = chain(taking, {"counts": f"cwl://{making}/counts", "all": f"cwl://{making}/counts"})
    assert references(taking) == [f"cwl://{making}/counts"]
    assert saved.roots == (str((folders / "outputs").resolve() / making),)
    assert saved.settings["inputs"] == {"counts": f"cwl://{making}/counts", "all": f"cwl://{making}/counts"}


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"label": "counts"}, "label: The output 'counts' of '.*' is File; the input is string."),
        ({"counts": "counts", "level": "counts"}, "level: The output 'counts' of '.*' is File; the input is int."),
        ({"nothing": "counts"}, "nothing: The workflow has no such input."),
    ],
)
def test_an_output_that_does_not_fit_is_refused_by_name(
    taking: str, making: str, inputs: dict[str, str], words: str
) -> None:
    with pytest.raises(InvalidJob) as refused:
        chain(taking, {name: f"cwl://{making}/{output}" for name, output in inputs.items()})
    assert any(re.search(words, str(problem)) for problem in refused.value.problems)
    assert references(taking) == []


def test_an_asset_that_airflow_does_not_know_is_refused(taking: str) -> None:
    with pytest.raises(BadRequest, match="no asset 'cwl://nobody/counts'"):
        chain(taking, {"counts": "cwl://nobody/counts"})


def test_outputs_of_a_workflow_that_its_author_may_not_see_are_refused(taking: str, making: str) -> None:
    with pytest.raises(InvalidJob) as refused:
        chain(taking, {"counts": f"cwl://{making}/counts"}, files=InputAccess("eve", lambda dag_id: dag_id != making))
    assert "that you may see" in str(refused.value.problems[0])


def test_an_input_that_nothing_gives_must_be_in_the_job(taking: str, making: str) -> None:
    with pytest.raises(InvalidJob) as refused:
        chain(taking, {"all": f"cwl://{making}/counts"})
    assert [problem.input for problem in refused.value.problems] == ["counts"]


def test_an_output_that_a_new_version_has_no_more_is_shown(taking: str, making: str, store: WorkflowStore) -> None:
    saved = chain(taking, {"counts": f"cwl://{making}/counts"})
    assert detail_of(store.current(taking), saved).problem is None
    deliver(store, making, Parameter("other", "File"))
    problem = detail_of(store.current(taking), saved).problem
    assert problem == f"counts: The workflow {making!r} has no output 'counts'; it has other."
    store.delete(making)
    assert f"There is no workflow {making!r} any more" in (detail_of(store.current(taking), saved).problem or "")


def test_an_input_that_an_event_names_need_not_be_known_before_it(taking: str, making: str) -> None:
    template = f"{{{{ triggering_asset_events['cwl://{making}/counts'][-1].extra.payload.name }}}}"
    saved = chain(taking, {"counts": f"cwl://{making}/counts"}, job={"label": template})
    assert saved.job["label"] == template


def test_a_folder_of_shared_inputs_is_watched(taking: str, folders: Path, store: WorkflowStore) -> None:
    incoming = folders / "inputs/incoming"
    incoming.mkdir(parents=True)
    saved = watch(taking, incoming)
    assert (saved.roots, saved.settings["settle"]) == ((), 10)
    assert dag_arguments(replace(store.current(taking), schedule=replace(saved, max_active_runs=2))) == {
        "max_active_runs": 2
    }
    assert detail_of(store.current(taking), saved).description == "Files in incoming"
    assert references(taking) == []


def test_a_folder_with_outputs_that_the_author_may_see_is_watched_with_that_right(taking: str, folders: Path) -> None:
    made = folders / "outputs/other/run"
    made.mkdir(parents=True)
    assert watch(taking, made, access=everything()).roots == (str((folders / "outputs").resolve() / "other"),)
    with pytest.raises(InvalidJob, match="can't be watched"):
        watch(taking, made, access=InputAccess("eve", lambda _dag_id: False))


@pytest.mark.parametrize("name", ["inputs", "inputs/uploads", "outputs", "workflows", "elsewhere", "inputs/link"])
def test_a_folder_that_holds_what_others_own_is_not(taking: str, folders: Path, name: str) -> None:
    (folders / "elsewhere").mkdir()
    (folders / "inputs/uploads/someones").mkdir(parents=True)
    (folders / "inputs/link").symlink_to(folders / "elsewhere")
    with pytest.raises(InvalidJob, match="can't be watched"):
        watch(taking, folders / name, access=everything())


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"folder": "incoming"}, "absolute path"),
        ({"files": {}}, "at least one input"),
        ({"files": {"counts": 3}}, "a text for each input"),
        ({"settle": "soon"}, "number of seconds"),
        ({"marker": 3}, "marker"),
        ({"more": 1}, "not known: more"),
    ],
)
def test_settings_of_a_folder_that_are_none_are_refused(
    taking: str, folders: Path, settings: dict[str, Any], words: str
) -> None:
    with pytest.raises(BadRequest, match=words):
        watch(taking, folders / "inputs/x", **settings)


def test_patterns_are_checked_with_the_workflow(taking: str, folders: Path) -> None:
    (folders / "inputs/x").mkdir(parents=True)
    with pytest.raises(InvalidJob) as refused:
        watch(taking, folders / "inputs/x", files={"level": "{s}.txt"}, names={})
    assert "It is int; a pattern is for a File" in str(refused.value.problems[0])


def test_an_asset_with_watchers_is_refused_as_it_would_lose_them(taking: str) -> None:
    from airflow.models.asset import AssetActive, AssetModel, AssetWatcherModel
    from airflow.models.trigger import Trigger
    from airflow.utils.session import create_session

    name = f"heard-{uuid.uuid4().hex[:8]}"
    with create_session() as session:
        asset, trigger = AssetModel(name=name, uri=name), Trigger("x.Y", {})
        session.add_all([asset, trigger])
        session.flush()
        session.add(AssetActive.for_asset(asset))
        session.add(AssetWatcherModel(name="watcher", asset_id=asset.id, trigger_id=trigger.id))
    with pytest.raises(BadRequest, match=f"The asset '{name}' has watchers"):
        chain(taking, {}, settings={"assets": [name]}, job={"counts": {"class": "File", "path": "x"}})
