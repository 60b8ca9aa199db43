"""Presets: what is kept, for whom, what of it fits another version, and what becomes of it."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from support.stored import add_version, plan_of

from cwl_ui_plugin.cwl.plan import Parameter
from cwl_ui_plugin.library.store import WorkflowStore
from cwl_ui_plugin.services.errors import BadRequest, Conflict, NotAllowed, NotFound, ServiceError, TooLarge
from cwl_ui_plugin.services.presets import presets
from cwl_ui_plugin.services.presets.models import Preset
from cwl_ui_plugin.services.presets.presets import Changes
from cwl_ui_plugin.services.workflows import details

JOB = {"text": "hello", "file": {"class": "File", "location": "a.txt"}}


def save(dag_id: str, name: str = "Usual", job: dict[str, Any] | None = None, user: str = "ada", **more: Any) -> Preset:
    return presets.save_preset(dag_id, name, JOB if job is None else job, user=user, **more).preset


def names(dag_id: str, user: str) -> list[str]:
    return [item.name for item in presets.list_presets(dag_id, user)]


def test_kept_and_found_by_who_has_it(workflow: str) -> None:
    mine = save(workflow)
    shared = save(workflow, "For all", user="bob", is_shared=True)
    save(workflow, "Of Bob", user="bob")
    assert names(workflow, "ada") == ["Usual", "For all"]
    assert names(workflow, "bob") == ["Of Bob", "For all"]
    assert names(workflow, "eve") == ["For all"]
    assert names("another", "ada") == []
    assert presets.get_preset(workflow, mine.id, "ada").job == JOB
    assert presets.get_preset(workflow, shared.id, "eve").owner == "bob"
    for dag_id, preset_id, user in (
        (workflow, mine.id, "bob"),
        ("another", mine.id, "ada"),
        (workflow, f"{mine.id}\0", "ada"),
        (workflow, "' OR 1=1 --", "ada"),
    ):
        with pytest.raises(NotFound):
            presets.get_preset(dag_id, preset_id, user)


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("  two   words\n", "two words"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ("../../etc/passwd", "../../etc/passwd"),
        ("e\u0301te\u0301", "\u00e9t\u00e9"),
        ("'; DROP TABLE cwl_preset; --", "'; DROP TABLE cwl_preset; --"),
        ("x" * 100, "x" * 100),
    ],
)
def test_names_are_kept_as_they_are_read(workflow: str, name: str, kept: str) -> None:
    assert save(workflow, name).name == kept
    assert names(workflow, "ada") == [kept]


@pytest.mark.parametrize(
    "name", ["", "   ", "x" * 101, "a\0b", "a\u202eb", "a\u200bb", "\ud800", "\u200d", "a\x1bb", None, 5, ["a"]]
)
def test_names_that_can_be_none(workflow: str, name: Any) -> None:
    with pytest.raises(BadRequest) as caught:
        save(workflow, name)
    assert caught.value.field == "name"
    assert names(workflow, "ada") == []


def test_a_name_is_there_once_in_any_case_for_each_owner_and_among_the_shared(workflow: str) -> None:
    save(workflow, "Usual")
    save(workflow, "usual", user="bob")
    save(workflow, "Usual", is_shared=True)
    for user, is_shared in (("ada", False), ("bob", True)):
        with pytest.raises(Conflict, match="already"):
            save(workflow, "USUAL", user=user, is_shared=is_shared)
    save(workflow, "Other", user="bob")
    other = next(item for item in presets.list_presets(workflow, "bob") if item.name == "Other")
    with pytest.raises(Conflict, match="already"):
        presets.change_preset(workflow, other.id, Changes(name="usual"), user="bob")
    with pytest.raises(Conflict, match="already"):
        presets.change_preset(workflow, other.id, Changes(name="Usual", is_shared=True), user="bob")
    bobs = next(item for item in presets.list_presets(workflow, "bob") if item.name == "usual")
    with pytest.raises(Conflict, match="a preset 'usual' already"):
        presets.change_preset(workflow, bobs.id, Changes(is_shared=True), user="bob")
    assert names(workflow, "bob") == ["Other", "usual", "Usual"]


def test_secrets_and_folders_are_not_kept(add: Callable[..., Any]) -> None:
    dag_id = f"secret-{uuid.uuid4().hex[:8]}"
    add(dag_id, inputs=(Parameter("text", "string"), Parameter("password", "string", is_secret=True)))
    job = {"text": "x", "password": "hush-hush", "output_folder": "a", "tmp_folder": "b", "more": 1}
    saved = presets.save_preset(dag_id, "Mine", job, user="ada")
    assert saved.preset.job == {"text": "x", "more": 1}
    assert [problem.input for problem in saved.not_kept] == ["password", "output_folder", "tmp_folder"]
    assert "hush-hush" not in str(saved.not_kept)
    changed = presets.change_preset(dag_id, saved.preset.id, Changes(job=job), user="ada")
    assert changed.preset.job == {"text": "x", "more": 1}
    assert _in_database("hush-hush") == 0


def _in_database(text: str) -> int:
    from airflow.utils.session import create_session

    from cwl_ui_plugin.reports.tables import PresetRow

    with create_session() as session:
        return session.query(PresetRow).filter(PresetRow.job.contains(text)).count()


@pytest.mark.parametrize(
    ("job", "error"),
    [
        ({"text": "x" * 1_000_001}, TooLarge),
        ({"text": float("nan")}, BadRequest),
        ({"text": "a\0b"}, BadRequest),
        ({"text": "\ud800"}, BadRequest),
        ({"text": object()}, BadRequest),
    ],
)
def test_inputs_that_can_not_be_kept(workflow: str, job: dict[str, Any], error: type[ServiceError]) -> None:
    with pytest.raises(error):
        save(workflow, job=job)
    assert names(workflow, "ada") == []


def test_what_a_user_has_is_bounded(workflow: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presets, "MAX_PRESETS", 2)
    save(workflow, "One")
    save(workflow, "Two", is_shared=True)
    with pytest.raises(Conflict, match="2 presets"):
        save(workflow, "Three")
    save(workflow, "Three", user="bob")


def test_a_half_filled_form_is_kept_as_it_is(workflow: str) -> None:
    big = {"text": 5, "unknown": [None, {"a": 2**70}]}
    assert presets.get_preset(workflow, save(workflow, job=big).id, "ada").job == big
    assert save(workflow, "Nothing", job={}).job == {}


def test_changed_and_deleted_by_its_owner_and_who_may_change_all(workflow: str) -> None:
    shared = save(workflow, "Shared", is_shared=True)
    for act in (_rename, _delete):
        with pytest.raises(NotAllowed, match="ada"):
            act(shared, "bob")
    changed = _rename(shared, "bob", may_change_all=True)
    assert (changed.name, changed.owner, changed.updated_by, changed.revision) == ("New", "ada", "bob", 2)
    mine = save(workflow, "Mine")
    for act in (_rename, _delete):
        with pytest.raises(NotFound):  # who may change all that is shared sees nothing of others all the same
            act(mine, "bob", may_change_all=True)
    _delete(mine, "ada")
    _delete(shared, "bob", may_change_all=True)
    assert names(workflow, "ada") == []


def _rename(preset: Preset, user: str, **more: Any) -> Preset:
    return presets.change_preset(preset.dag_id, preset.id, Changes(name="New"), user=user, **more).preset


def _delete(preset: Preset, user: str, **more: Any) -> None:
    presets.delete_preset(preset.dag_id, preset.id, user=user, **more)


def test_what_was_changed_meanwhile_is_not_overwritten(workflow: str) -> None:
    preset = save(workflow)
    presets.change_preset(workflow, preset.id, Changes(job={"text": "new"}), user="ada", revision=1)
    with pytest.raises(Conflict, match="meanwhile"):
        presets.change_preset(workflow, preset.id, Changes(job={"text": "old"}), user="ada", revision=1)
    assert presets.get_preset(workflow, preset.id, "ada").job == {"text": "new"}


def test_of_two_changes_at_once_one_is_refused(workflow: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both have read the preset before either writes it."""
    preset = save(workflow)
    both = threading.Barrier(2, timeout=60)
    check, waited = presets._check_revision, threading.local()

    def held(*arguments: Any) -> None:
        check(*arguments)
        if not hasattr(waited, "once"):
            waited.once = both.wait()

    monkeypatch.setattr(presets, "_check_revision", held)
    results: list[str] = []

    def change(text: str) -> None:
        try:
            presets.change_preset(workflow, preset.id, Changes(job={"text": text}), user="ada", revision=1)
            results.append(text)
        except Conflict:
            results.append("refused")

    threads = [threading.Thread(target=change, args=(text,)) for text in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results.count("refused") == 1, results
    kept = presets.get_preset(workflow, preset.id, "ada")
    assert kept.job["text"] in results
    assert kept.revision == 2


def test_what_fits_another_version_is_kept_and_the_rest_is_said(workflow: str, store: WorkflowStore) -> None:
    preset = save(workflow, job={"text": "x", "file": None, "extra": 1})
    same = presets.fitted(preset)
    assert (same.job, same.left_out) == (preset.job, ())
    newer = (
        Parameter("text", "int"),
        Parameter("other", "string"),
        Parameter("extra", ["null", "int"], is_secret=True),
    )
    added = add_version(store, workflow, plan_of("sort", inputs=newer), "two")
    moved = presets.fitted(preset)
    assert moved.fitted_to == added.digest
    assert moved.job == {}
    said = {problem.input: problem.message for problem in moved.left_out}
    assert "type" in said["text"]
    assert "no such input" in said["file"]
    assert "secret" in said["extra"]
    assert presets.fitted(preset, preset.version).job == preset.job  # the version that it was saved for
    gone = Preset(**{**vars(preset), "version": "0" * 32})
    assert presets.fitted(gone).job == {}


def test_they_go_with_their_workflow_and_no_other(workflow: str, add: Callable[..., Any]) -> None:
    other = f"other-{uuid.uuid4().hex[:8]}"
    add(other)
    save(workflow)
    save(other)
    details.delete_workflow(workflow)
    assert names(workflow, "ada") == []
    assert names(other, "ada") == ["Usual"]
    with pytest.raises(NotFound):
        save(workflow)


def test_none_stays_that_was_saved_while_its_workflow_was_deleted(
    workflow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The workflow goes after the saver has looked for it, and before the row is written."""
    kept = presets.kept_job

    def delete_first(*arguments: Any) -> Any:
        details.delete_workflow(workflow)
        return kept(*arguments)

    monkeypatch.setattr(presets, "kept_job", delete_first)
    with pytest.raises(NotFound):
        save(workflow)
    assert names(workflow, "ada") == []
