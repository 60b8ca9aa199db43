"""Sheets on their way to a batch: kept for their owner, whole, encrypted, without secrets, and not for ever."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from cwl_ui_plugin.cwl.plan import Parameter
from cwl_ui_plugin.services.batches import drafts, sheets
from cwl_ui_plugin.services.batches.drafts import Draft
from cwl_ui_plugin.services.batches.models import ColumnMapping
from cwl_ui_plugin.services.errors import NotFound, TooLarge
from cwl_ui_plugin.services.inputs.access import shared_only
from cwl_ui_plugin.services.stored_workflows import stored

TABLE = "sample\ttext\nÄ 1\tone\nA2\t\n"


def draft_of(dag_id: str, owner: str = "ada", title: str = "week.csv") -> Draft:
    return Draft(dag_id, owner, title, sheets.read_text(TABLE), ColumnMapping({"text": "text"}, "sample"))


def test_kept_as_it_is(workflow: str) -> None:
    made = drafts.create(replace(draft_of(workflow), constants={"big": 2**70}, folder="x", name="n", max_active=3))
    plan = stored(workflow).plan
    checked = replace(made, findings=drafts.findings_of(replace(made, constants={}), plan, shared_only()))
    assert checked.findings.bad == (3,)
    drafts.keep(checked, plan)
    assert drafts.get(workflow, made.id, "ada") == checked


def test_only_its_owner_has_it(workflow: str, add: Callable[..., Any]) -> None:
    made = drafts.create(draft_of(workflow))
    for dag_id, owner in ((workflow, "bob"), ("another", "ada")):
        with pytest.raises(NotFound):
            drafts.get(dag_id, made.id, owner)
        drafts.discard(dag_id, made.id, owner)
    assert drafts.list_of(workflow, "bob") == ()
    assert drafts.get(workflow, made.id, "ada").title == "week.csv"
    drafts.discard(workflow, made.id, "ada")
    with pytest.raises(NotFound):
        drafts.get(workflow, made.id, "ada")


def _rows() -> list[Any]:
    from airflow.utils.session import create_session

    from cwl_ui_plugin.reports.batch_tables import BatchDraftRow

    with create_session() as session:
        rows = session.query(BatchDraftRow).all()
        session.expunge_all()
        return rows


def test_nobody_reads_it_in_the_database_and_secrets_are_not_in_it(workflow: str) -> None:
    made = drafts.create(draft_of(workflow, "eve"))
    plan = stored(workflow).plan
    secret = replace(plan, inputs=(*plan.inputs, Parameter("password", "string", is_secret=True)))
    drafts.keep(replace(made, constants={"password": "hush", "text": "plain-text"}), secret)
    assert drafts.get(workflow, made.id, "eve").constants == {"text": "plain-text"}
    [row] = [row for row in _rows() if row.id == made.id]
    assert "plain-text" not in row.content
    assert [line[:5] for line in row.content.split("\n")] == ["gAAAA", "gAAAA"]  # tokens of Fernet


def test_a_change_does_not_encrypt_the_sheet_again(workflow: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = drafts.create(draft_of(workflow))
    monkeypatch.setattr(drafts, "_encoded_sheet", lambda _sheet: 1 / 0)
    drafts.keep(replace(drafts.get(workflow, made.id, "ada"), folder="x"), stored(workflow).plan)
    again = drafts.get(workflow, made.id, "ada")
    assert (again.sheet, again.folder) == (made.sheet, "x")


@pytest.mark.parametrize("content", ["", "gAAAA", "no token\nno token"])
def test_one_that_can_not_be_read_any_more_says_so(workflow: str, content: str) -> None:
    from airflow.utils.session import create_session

    from cwl_ui_plugin.reports.batch_tables import BatchDraftRow

    made = drafts.create(draft_of(workflow))
    with create_session() as session:
        session.get(BatchDraftRow, made.id).content = content
    with pytest.raises(NotFound, match="can't be read any more"):
        drafts.get(workflow, made.id, "ada")


def test_a_user_has_a_few_and_none_for_ever(workflow: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = [drafts.create(draft_of(workflow, "joe")) for _number in range(drafts.MAX_DRAFTS + 2)]
    assert {item.id for item in drafts.list_of(workflow, "joe")} == {draft.id for draft in made[2:]}
    later = datetime.now(timezone.utc) + timedelta(days=drafts.KEPT_DAYS + 1)

    class Later(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return later

    monkeypatch.setattr(drafts, "datetime", Later)
    assert drafts.list_of(workflow, "joe") == ()
    with pytest.raises(NotFound, match="too old"):
        drafts.get(workflow, made[-1].id, "joe")
    drafts.create(draft_of(workflow, "another"))
    assert [row.owner for row in _rows() if row.dag_id == workflow] == ["another"]


def test_a_table_that_is_too_large(workflow: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drafts, "MAX_BYTES", 50)
    with pytest.raises(TooLarge):
        drafts.create(draft_of(workflow, "max"))
    assert drafts.list_of(workflow, "max") == ()


def test_one_that_is_removed_while_it_is_checked_does_not_come_back(
    workflow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is started, or removed, in another window after this one has read it and before it keeps what it found."""
    made = drafts.create(draft_of(workflow, "zoe"))
    plan, encoded = stored(workflow).plan, drafts._encoded
    is_read, is_gone = threading.Event(), threading.Event()

    def held(draft: Draft) -> str:
        is_read.set()
        assert is_gone.wait(60)
        return encoded(draft)

    monkeypatch.setattr(drafts, "_encoded", held)
    outcome: list[str] = []

    def check() -> None:
        try:
            drafts.keep(made, plan)
        except NotFound:
            outcome.append("gone")

    thread = threading.Thread(target=check)
    thread.start()
    assert is_read.wait(60)
    drafts.discard(workflow, made.id, "zoe")
    is_gone.set()
    thread.join()
    assert outcome == ["gone"]
    assert drafts.list_of(workflow, "zoe") == ()
