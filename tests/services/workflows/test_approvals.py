"""Steps that were chosen to be asked about: kept with the workflow, and each run keeps what held when it began."""

from __future__ import annotations

import json

import pytest
from support.stored import add_version, packed_of, plan_of

from cwl_ui_plugin.dags import registration
from cwl_ui_plugin.dags.errors import RegistrationError
from cwl_ui_plugin.library.errors import UnknownWorkflow
from cwl_ui_plugin.library.revisions import Revision
from cwl_ui_plugin.library.store import WorkflowStore
from cwl_ui_plugin.services.errors import BadRequest, NotFound, Unavailable
from cwl_ui_plugin.services.workflows import approvals


def tasks_in_airflow(dag_id: str) -> set[str]:
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.utils.session import create_session

    with create_session(scoped=False) as session:
        found = SerializedDagModel.get(dag_id, session=session)
        assert found is not None
        return set(found.dag.task_dict)


def test_a_chosen_step_asks_from_then_on_and_what_ran_before_goes_on(workflow: str, store: WorkflowStore) -> None:
    before = store.current_revision(workflow)
    assert approvals.choose(workflow, ["count"], user="ada") == approvals.Approvals(("count",), (), ())
    after = store.current_revision(workflow)
    assert after == f"{before}!{store.approvals(workflow).current_digest()}"
    asking = [[step.approval is not None for step in store.pinned(workflow, at).plan.steps] for at in (before, after)]
    assert asking == [[False, False], [False, True]]
    assert store.pinned(workflow, after).revision == after
    assert "count.approval" in tasks_in_airflow(workflow)
    approvals.choose(workflow, [], user="ada")
    assert store.current_revision(workflow) == before
    assert "count.approval" not in tasks_in_airflow(workflow)


def test_who_has_chosen_what_is_in_airflows_audit_log(workflow: str) -> None:
    from airflow.models.log import Log
    from airflow.utils.session import create_session
    from sqlalchemy import select

    approvals.choose(workflow, ["sort"], user="ada")
    with create_session(scoped=False) as session:
        (entry,) = session.scalars(select(Log).where(Log.event == approvals.EVENT, Log.dag_id == workflow))
        assert (entry.owner, json.loads(entry.extra)) == ("ada", {"steps": ["sort"]})


def test_what_is_no_step_is_refused_with_those_that_there_are(workflow: str, store: WorkflowStore) -> None:
    with pytest.raises(BadRequest, match="no step 'srt'; it has sort, count"):
        approvals.choose(workflow, ["sort", "srt"], user="ada")
    assert store.approvals(workflow).current() == ()
    with pytest.raises(NotFound):
        approvals.choose("no-such-workflow", [], user="ada")


def test_a_choice_that_airflow_does_not_take_is_none(
    workflow: str, store: WorkflowStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    approvals.choose(workflow, ["sort"], user="ada")

    def refuse(dag_id: str) -> None:
        raise RegistrationError("no")

    monkeypatch.setattr(registration, "register", refuse)
    with pytest.raises(Unavailable):
        approvals.choose(workflow, ["count"], user="ada")
    assert store.approvals(workflow).current() == ("sort",)


def test_a_new_version_keeps_the_choice_and_names_what_it_has_no_more(workflow: str, store: WorkflowStore) -> None:
    approvals.choose(workflow, ["sort", "count"], user="ada")
    plan = plan_of("sort", "other")
    add_version(store, workflow, plan, "two", packed_of(plan))
    assert approvals.approvals_of(workflow) == approvals.Approvals(("sort",), (), ("count",))


def test_a_choice_that_is_gone_starts_nothing_unasked(workflow: str, store: WorkflowStore) -> None:
    approvals.choose(workflow, ["sort"], user="ada")
    revision = store.current_revision(workflow)
    (kept,) = (store.workflows / workflow / "approval-choices").iterdir()
    kept.unlink()
    with pytest.raises(UnknownWorkflow, match="choose them anew"):
        store.pinned(workflow, revision)


@pytest.mark.parametrize("content", ["", "sort", "\xff\xfe", "0"])
def test_a_choice_whose_name_is_damaged_starts_nothing_unasked_until_another_is_made(
    workflow: str, store: WorkflowStore, content: str
) -> None:
    approvals.choose(workflow, ["sort"], user="ada")
    (store.workflows / workflow / "approvals").write_text(content, encoding="latin-1")
    with pytest.raises(UnknownWorkflow, match="choose them anew"):
        store.pinned(workflow, store.current_revision(workflow))
    assert "choose them anew" in (approvals.approvals_of(workflow).problem or "")
    assert approvals.choose(workflow, ["count"], user="ada") == approvals.Approvals(("count",), (), ())
    assert store.pinned(workflow, store.current_revision(workflow)).asked == ("count",)


@pytest.mark.parametrize("text", ["a", "a@b", "a+c", "a!d", "a@b+c!d", "a+c!d", "a@b!d"])
def test_a_revision_says_what_it_is_made_of(text: str) -> None:
    assert str(Revision.parse(text)) == text
    assert Revision.parse(text).digest == "a"
