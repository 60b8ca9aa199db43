"""Titles, tags and notes of runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from cwl_ui_plugin.reports.tables import RunLabel
from cwl_ui_plugin.services import labelling
from cwl_ui_plugin.services.errors import BadRequest
from cwl_ui_plugin.services.labelling import Label
from cwl_ui_plugin.services.monitoring import queries
from cwl_ui_plugin.services.run_models import RunFilter
from cwl_ui_plugin.services.triggering import triggers

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


def label(dag_id: str, run_id: str, *given: Any, note: str | None = None) -> None:
    from airflow.utils.session import create_session

    with create_session() as session:
        run = queries.find_run(session, dag_id, run_id)
        labelling.label_run(session, run, *given)
        if note is not None:
            labelling.write_note(run, note, "ada")


def found(dag_id: str, text: str) -> list[str]:
    return [run.run_id for run in queries.list_runs([dag_id], wanted=RunFilter(text=text)).items]


def labels(session: Session, run_id: str) -> int:
    return session.query(RunLabel).filter_by(run_id=run_id).count()


def test_a_run_has_the_title_the_tags_and_the_note_that_it_was_given(workflow: str, run_id: str) -> None:
    label(workflow, run_id, "  Liver, 3rd try ", ["liver", " mouse ", "liver", ""], note="Look at the peaks.\r\nTwice.")
    (listed,) = queries.list_runs([workflow]).items
    assert (listed.title, listed.tags, listed.note) == (
        "Liver, 3rd try",
        ("liver", "mouse"),
        "Look at the peaks.\nTwice.",
    )
    assert queries.get_run(workflow, run_id).summary == listed
    assert (listed.name, listed.own_note) == ("Liver, 3rd try", "Look at the peaks.\nTwice.")


def test_nothing_takes_a_label_away(workflow: str, run_id: str) -> None:
    from airflow.utils.session import create_session

    label(workflow, run_id, "Liver", ["mouse"], note="x")
    label(workflow, run_id, " ", [], note="")
    (listed,) = queries.list_runs([workflow]).items
    assert (listed.title, listed.tags, listed.note) == (None, (), None)
    assert listed.name == run_id
    with create_session() as session:
        assert labels(session, run_id) == 0


@pytest.mark.parametrize("word", ["Leber", "müsli", "peaks", "LEBER peaks", "100%", '"quoted"'])
def test_runs_are_found_by_title_tag_and_note(workflow: str, run_id: str, word: str) -> None:
    triggers.trigger(workflow, conf={"job": {"text": "y"}}, user="eve", via=triggers.REST)
    assert found(workflow, word) == []
    label(workflow, run_id, "Leber", ["müsli", "100%"], note='The peaks are "quoted"')
    assert found(workflow, word) == [run_id]
    assert found(workflow, f"{word} other") == []


def test_runs_are_found_by_a_whole_tag(workflow: str, run_id: str) -> None:
    label(workflow, run_id, None, ["mouse", 'a "b"'])
    for tag, is_found in (("mouse", True), ('a "b"', True), ("mou", False), ("a", False), ("%", False)):
        page = queries.list_runs([workflow], wanted=RunFilter(tag=tag))
        assert page.total == is_found, tag


@pytest.mark.parametrize(
    "given",
    [
        ("x" * 201,),
        ("two\nlines",),
        ("control\x07",),
        (None, ["x" * 51]),
        (None, ["a,b"]),
        (None, ["two\nlines"]),
        (None, [str(number) for number in range(21)]),
    ],
)
def test_what_is_no_label_is_refused(workflow: str, run_id: str, given: tuple[Any, ...]) -> None:
    with pytest.raises(BadRequest):
        label(workflow, run_id, *given)
    with pytest.raises(BadRequest):
        label(workflow, run_id, note="x" * 1001)


def test_who_stopped_a_run_stays_in_its_note(workflow: str, run_id: str) -> None:
    from cwl_ui_plugin.services.stopping.database_state import fail_unfinished

    fail_unfinished(workflow, run_id, "eve")
    assert queries.get_run(workflow, run_id).summary.own_note == ""
    label(workflow, run_id, note="Wrong genome.")
    run = queries.get_run(workflow, run_id)
    assert run.summary.own_note == "Wrong genome."
    assert run.note and run.note.startswith("Stopped by eve on ")
    assert fail_unfinished(workflow, run_id, "ada").stopped_by == "eve"


def test_the_label_of_a_deleted_run_is_not_that_of_the_next_one_with_its_id(workflow: str, run_id: str) -> None:
    from airflow.utils.session import create_session

    from cwl_ui_plugin.services.stopping.database_state import delete_run

    label(workflow, run_id, "Old", ["old"])
    delete_run(workflow, run_id, "ada")
    with create_session() as session:
        assert labels(session, run_id) == 1
    triggers.trigger(workflow, conf={"job": {"text": "y"}}, run_id=run_id, user="eve", via=triggers.REST)
    (listed,) = queries.list_runs([workflow]).items
    assert (listed.title, found(workflow, "Old")) == (None, [])
    assert labelling.forget_gone() == 1
    label(workflow, run_id, "New")
    assert labelling.forget_gone() == 0
    with create_session() as session:
        assert labelling.labels_of(session, [(workflow, run_id)]) == {(workflow, run_id): Label("New", ())}
