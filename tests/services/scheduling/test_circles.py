"""Schedules by which workflows would start each other for ever."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.stored import add_version, plan_of

from cwl_ui_plugin.cwl.plan import Parameter
from cwl_ui_plugin.dags.assets import asset_name, input_asset_name
from cwl_ui_plugin.library.schedules import Schedule
from cwl_ui_plugin.library.store import WorkflowStore
from cwl_ui_plugin.services.errors import BadRequest
from cwl_ui_plugin.services.inputs.access import InputAccess
from cwl_ui_plugin.services.scheduling import schedules
from cwl_ui_plugin.services.scheduling.kinds import assets_to_wait_for
from cwl_ui_plugin.services.scheduling.schedules import Wanted


@pytest.fixture
def make(store: WorkflowStore) -> Callable[[], str]:
    """Make a workflow that takes and delivers a File."""
    from cwl_ui_plugin.dags.registration import register

    def one() -> str:
        dag_id = f"circle-{uuid.uuid4().hex[:8]}"
        plan = replace(
            plan_of("a", inputs=(Parameter("taken", ["null", "File"]),)), outputs=(Parameter("made", "File"),)
        )
        add_version(store, dag_id, plan, dag_id)
        register(dag_id)
        return dag_id

    return one


def wait(dag_id: str, *others: str, **more: Any) -> Schedule:
    return save(dag_id, "assets", {"assets": [asset_name(other, "made") for other in others]}, **more)


def save(dag_id: str, kind: str, settings: dict[str, Any], **more: Any) -> Schedule:
    files = InputAccess("ada", lambda _dag_id: True)
    return schedules.save(dag_id, Wanted(kind=kind, settings=settings, **more), user="ada", files=files)


def test_a_workflow_does_not_wait_for_itself(make: Callable[[], str], store: WorkflowStore) -> None:
    one, other = make(), make()
    with pytest.raises(BadRequest, match=f"'{one}' would start itself for ever") as refused:
        wait(one, one)
    assert refused.value.field == "assets"
    with pytest.raises(BadRequest, match="itself"):
        wait(one, other, one, is_paused=True)
    with pytest.raises(BadRequest, match="itself"):
        save(one, "assets", {"inputs": {"taken": asset_name(one, "made")}})
    assert store.schedules(one).current() is None
    assert wait(one, other).settings["assets"][0]["name"] == asset_name(other, "made")


def test_a_circle_over_others_is_refused_by_the_names_that_the_schedule_has(make: Callable[[], str]) -> None:
    first, second, third, apart = make(), make(), make(), make()
    wait(second, first)
    with pytest.raises(BadRequest, match=f"for ever: {first} -> {second} -> {first}, "):
        wait(first, second)
    save(third, "assets", {"inputs": {"taken": asset_name(second, "made")}})
    with pytest.raises(BadRequest, match=f"for ever: {first} -> another workflow -> {third} -> {first}, "):
        wait(first, apart, third)
    wait(apart, first, second, third)  # several ways to one are no circle


@pytest.mark.parametrize("change", [{"is_paused": True}, {"problem": "It does not fit."}])
def test_a_schedule_that_may_go_on_counts(
    make: Callable[[], str], store: WorkflowStore, change: dict[str, Any]
) -> None:
    first, second = make(), make()
    saved = wait(second, first)
    store.set_schedule(second, replace(saved, **change), instead_of=saved.digest)
    with pytest.raises(BadRequest, match=f"{first} -> {second} -> {first}"):
        wait(first, second)
    schedules.remove(second, user="ada")
    assert wait(first, second).starts(store.current(first).digest)


def test_it_is_looked_at_again_when_a_schedule_is_resumed(make: Callable[[], str], store: WorkflowStore) -> None:
    one, other = make(), make()
    saved = wait(one, other, is_paused=True)
    own = [{"name": asset_name(one, "made"), "uri": asset_name(one, "made")}]
    store.set_schedule(one, replace(saved, settings={**saved.settings, "assets": own}), instead_of=saved.digest)
    with pytest.raises(BadRequest, match="start itself for ever"):
        schedules.pause(one, False, user="bob")
    kept = store.schedules(one).current()
    assert kept is not None
    assert kept.is_paused


def test_a_circle_that_was_made_before_can_be_paused(make: Callable[[], str], store: WorkflowStore) -> None:
    one, other = make(), make()
    saved = wait(one, other)
    own = [{"name": asset_name(one, "made"), "uri": asset_name(one, "made")}]
    store.set_schedule(one, replace(saved, settings={**saved.settings, "assets": own}), instead_of=saved.digest)
    assert schedules.pause(one, True, user="bob").is_paused


def test_of_two_that_are_saved_at_the_same_moment_the_later_one_is_taken_back(
    make: Callable[[], str], store: WorkflowStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = make(), make()
    signed = schedules._signed

    def meanwhile(dag_id: str, schedule: Schedule) -> Schedule:
        monkeypatch.setattr(schedules, "_signed", signed)
        wait(second, first)
        return signed(dag_id, schedule)

    monkeypatch.setattr(schedules, "_signed", meanwhile)
    with pytest.raises(BadRequest, match=f"{first} -> {second} -> {first}"):
        wait(first, second)
    assert store.schedules(first).current() is None
    assert store.schedules(second).current() is not None


def test_a_folder_of_own_outputs_is_not_watched(make: Callable[[], str], folders: Path) -> None:
    one, other = make(), make()
    settings = {"folder": str(folders / "outputs" / one), "files": {"taken": "{run}/{name}.txt"}}
    with pytest.raises(BadRequest, match="wait for files in outputs of its own") as refused:
        save(one, "folder", settings)
    assert refused.value.field == "folder"
    wait(other, one)
    with pytest.raises(BadRequest, match=f"{one} -> {other} -> {one}"):
        save(one, "folder", {**settings, "folder": str(folders / "outputs" / other)})


def test_own_outputs_and_inputs_of_workflows_are_not_offered(make: Callable[[], str]) -> None:
    one, other = make(), make()
    offered = assets_to_wait_for(one)
    assert asset_name(other, "made") in offered
    assert not {asset_name(one, "made"), input_asset_name(one, "taken"), input_asset_name(other, "taken")} & set(
        offered
    )
