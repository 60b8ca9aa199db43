"""Many samples on the pages: a sheet is taken, mapped, checked and started; its batch is shown, stopped, run again."""

from __future__ import annotations

import io
import re
import uuid
from collections.abc import Callable, Iterator
from html import unescape
from typing import Any

import pytest
from support.batches import end_row, go_on, made_batch
from support.stored import add_version, plan_of, push, set_task

from cwl_ui_plugin.cwl.plan import Parameter
from cwl_ui_plugin.dags.names import GATHERER
from cwl_ui_plugin.library.store import WorkflowStore
from cwl_ui_plugin.services.batches import batches, checking, drafts, stops
from cwl_ui_plugin.services.run_models import StopReport

SHEET = "sample,text,threads\nS1,one,4\nS2,two,many\nS<3>,three,\n"
INPUTS = (
    Parameter("text", "string"),
    Parameter("threads", ["null", "int"]),
    Parameter("genome", "string", label="Genome"),
    Parameter("password", ["null", "string"], is_secret=True),
)
OWNER = "the-admin"


@pytest.fixture
def dag_id(add: Callable[..., Any]) -> Iterator[str]:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import update

    name = f"samples-{uuid.uuid4().hex[:8]}"
    add(name, inputs=INPUTS)
    yield name
    with create_session() as session:
        session.execute(update(DagRun).where(DagRun.dag_id == name).values(_state="success"))


@pytest.fixture
def site(browser: Callable[..., Any], csrf: Callable[[Any], str], dag_id: str) -> Any:
    """Somebody at the pages of the batches of a workflow."""

    class Site:
        client = browser("admin")
        token = csrf(client)

        def get(self, below: str = "", role: str = "admin") -> Any:
            return browser(role).get(f"/cwl/workflows/{dag_id}/batches{below}")

        def post(self, below: str, as_script: bool = False, **fields: Any) -> Any:
            headers = {"X-Requested-With": "XMLHttpRequest"} if as_script else {}
            data = {"csrf_token": self.token, **fields}
            return self.client.post(f"/cwl/workflows/{dag_id}/batches{below}", data=data, headers=headers)

        def take(self, text: str = SHEET) -> str:
            """Send a sheet; return where its draft is."""
            answer = self.post("/sheets", sheet=(io.BytesIO(text.encode()), "week 7.csv"))
            assert answer.status_code == 302, answer.text
            return str(answer.location.partition("/batches")[2])

        def draft(self) -> drafts.Draft:
            [found] = drafts.list_of(dag_id, OWNER)
            return drafts.get(dag_id, found.id, OWNER)

    return Site()


def text_of(answer: Any, status: int = 200) -> str:
    assert answer.status_code == status, answer.text
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.text)))


def test_a_sheet_is_checked_completed_and_started(site: Any, dag_id: str) -> None:
    assert "No batches yet" in text_of(site.get())
    place = site.take()
    page = site.get(place)
    text = text_of(page)
    assert "0 of 3 rows can start; 3 can't." in text
    assert "Fill this in above, or give it by a column: genome" in text
    assert re.search(r'<td class="wrong">many\s*<span\s*class="err">', page.text)
    assert "S<3>" in text and "S<3>" not in page.text
    filled = {"column-1": "text", "column-2": "threads", "name_column": "0", "in-2": "hg38", "in-3": "hush"}
    checked = text_of(site.post(place, act="check", **filled))
    assert "2 of 3 rows can start; 1 can't." in checked
    assert "Start the 2 good ones" in checked
    draft = site.draft()
    assert (draft.constants, draft.findings.bad) == ({"genome": "hg38"}, (3,))  # the secret is not kept
    refused = text_of(site.post(place, act="all", **filled), 422)
    assert "1 of 3 rows can't start, so nothing was started" in refused
    assert batches.list_of(dag_id).total == 0
    started = site.post(place, act="good", name="Week 7", max_active="2", **filled)
    assert started.status_code == 302, started.text
    [batch] = batches.list_of(dag_id).items
    assert started.location.endswith(f"/batches/{batch.id}")
    assert (batch.name, batch.max_active, batch.total, batch.counts["invalid"]) == ("Week 7", 2, 3, 1)
    assert drafts.list_of(dag_id, OWNER) == ()


def test_cells_of_a_secret_are_not_shown(site: Any) -> None:
    place = site.take("sample,text,password\nA,b,hush-hush\n")
    assert site.draft().mapping.paths["password"] == "password"
    page = site.get(place).text
    assert "hush-hush" not in page
    assert page.count("•••") == 2  # as an example of the column, and in its row


def test_a_start_checks_the_rows_once(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    place, made = site.take("sample,text\nA,b\n"), []

    class Counted(checking._RowChecker):
        def __init__(self, *arguments: Any) -> None:
            made.append(self)
            super().__init__(*arguments)

    monkeypatch.setattr(checking, "_RowChecker", Counted)
    assert "1 of 1 rows can't start" in text_of(site.post(place, act="all", **{"column-1": "text"}), 422)
    assert len(made) == 1


def test_the_next_rows_are_of_those_that_are_looked_at(site: Any) -> None:
    rows = [f"S{number},{number},{'many' if number % 2 else 4}" for number in range(120)]
    place = site.take("\n".join(["sample,text,threads", *rows]))
    shown = site.post(place, act="check", rows="bad", **{"in-2": "hg38", "column-1": "text", "column-2": "threads"})
    [link] = re.findall(r'href="([?][^"]+)">Next', shown.text)
    following = site.get(place + unescape(link))
    assert "51 to 60 of 60" in text_of(following)
    assert following.text.count('<tr class="bad">') == 10
    beyond = site.get(f"{place}?rows=bad&offset=5000")
    assert "1 to 50 of 60" in text_of(beyond)


def test_a_sheet_that_is_started_twice_is_one_batch(site: Any, dag_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two windows have the sheet; the second starts it when the first has not removed it yet."""
    place, filled = site.take("sample,text\nA,b\n"), {"column-1": "text", "in-2": "hg38"}
    monkeypatch.setattr(drafts, "discard", lambda *_arguments: None)
    first = site.post(place, act="all", name="One", **filled)
    second = site.post(place, act="all", name="Two", **filled)
    assert (first.status_code, second.location) == (302, first.location)
    assert [batch.name for batch in batches.list_of(dag_id).items] == ["One"]


def test_columns_that_are_mapped_otherwise(site: Any) -> None:
    place = site.take("name,what,who\nx,one,a\n")
    answer = site.post(place, True, act="check", **{"column-1": "text", "column-2": "genome", "name_column": "2"})
    assert answer.status_code == 200
    assert "The row can start." in re.sub(r"\s+", " ", answer.json["parts"]["preview"])
    assert 'name="in-2"' not in answer.json["parts"]["constants"]  # the genome is given by a column
    assert site.draft().mapping.name == "who"
    twice = site.post(place, act="check", **{"column-1": "text", "column-2": "text"})
    assert "gives text already" in text_of(twice, 400)
    unknown = site.post(place, act="check", **{"column-1": "nope"})
    assert "the workflow has no input" in text_of(unknown, 400)
    assert "Kept" not in text_of(site.get(place))
    assert site.draft().mapping.paths == {"what": "text", "who": "genome"}


@pytest.mark.parametrize(
    ("fields", "status", "said"),
    [
        ({}, 400, "Choose a sheet"),
        ({"pasted": "sample\ttext\n"}, 422, "no row below it"),
        ({"pasted": "text,text\n1,2\n"}, 422, "several columns of this name"),
        ({"sheet": (io.BytesIO(b"PK\x03\x04rubbish"), "x.xlsx")}, 422, "can't be read"),
        ({"sheet": (io.BytesIO(b"\xd0\xcf\x11\xe0"), "x.xls")}, 422, "older Excel"),
    ],
)
@pytest.mark.parametrize("as_script", [False, True])
def test_a_sheet_that_can_not_be_used(
    site: Any, dag_id: str, fields: dict[str, Any], status: int, said: str, as_script: bool
) -> None:
    copies = {name: (io.BytesIO(value[0].getvalue()), value[1]) if isinstance(value, tuple) else value
              for name, value in fields.items()}  # fmt: skip
    answer = site.post("/sheets", as_script, **copies)
    assert answer.status_code == status
    assert said in unescape(answer.json["html"] if as_script else answer.text)
    assert drafts.list_of(dag_id, OWNER) == ()


def test_a_pasted_table(site: Any) -> None:
    answer = site.post("/sheets", pasted="sample\ttext\ngenome\nA\tb\n")
    assert answer.status_code == 302
    assert site.draft().title == "Pasted table"


def test_a_draft_is_for_its_owner_and_few(site: Any, dag_id: str) -> None:
    first = site.take()
    draft_id = first.rpartition("/")[2]
    assert site.get(first, "op").status_code == 404
    assert site.get(first, "viewer").status_code == 403
    for _number in range(drafts.MAX_DRAFTS):
        site.take()
    assert site.get(first).status_code == 404
    assert len(drafts.list_of(dag_id, OWNER)) == drafts.MAX_DRAFTS
    assert draft_id not in {item.id for item in drafts.list_of(dag_id, OWNER)}
    kept = drafts.list_of(dag_id, OWNER)[0].id
    assert site.post(f"/sheets/{kept}/remove").status_code == 302
    assert kept not in {item.id for item in drafts.list_of(dag_id, OWNER)}


def test_a_new_version_of_the_workflow_takes_what_fits_of_a_draft(site: Any, dag_id: str, store: WorkflowStore) -> None:
    place = site.take()
    assert (
        site.post(place, act="check", **{"column-1": "text", "column-2": "threads", "in-2": "hg38"}).status_code == 200
    )
    add_version(store, dag_id, plan_of("sort", inputs=(Parameter("text", "string"),)), "two")
    assert "threads" in text_of(site.get(place))  # the column stays, and gives nothing
    checked = text_of(site.post(place, act="check", **{"column-1": "text"}))
    assert "All 3 rows can start" in checked


def test_the_page_of_a_batch(site: Any, dag_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = made_batch(dag_id, ["S1", "S2", "S<3>"], constants={"genome": "x"}, name="<Friday>")
    assert "<Friday>" in text_of(site.get())
    go_on(batch)
    end_row(batch, "S1")
    failed = end_row(batch, "S2", "failed", "sort")
    set_task(dag_id, failed, "count", state="awaiting_input")
    for task, message in (("sort", "No such file: <x>"), ("count", "it came later")):
        push(dag_id, failed, task, "cwl_error", {"message": message, "kind": "permanentFail"})
    assert "3 samples: 1 success, 1 failed, 1 queued" in text_of(site.get())
    place = f"/{batch.id}"
    page = site.get(place)
    text = text_of(page)
    assert "<Friday>" in text and "<Friday>" not in page.text
    assert "All 3" in text and "success 1" in text and "failed 1" in text and "queued 1" in text
    for name, state in (("sort", "failed"), ("count", "waits for approval"), ("sort", "success")):
        assert f'title="Step {name}: {state}"' in page.text
    assert "No such file: <x> See the step that failed for S2" in text and "it came later" not in text
    assert re.search(rf'href="[^"]+/run/step[?][^"]*run_id={failed}&amp;task_id=sort', page.text)
    assert "CWLJob" not in page.text
    assert "Stop" in text and "Run failed ones again" not in text
    assert text_of(site.get(f"{place}?state=failed")).count("Step") == 2  # the headers alone
    assert "No sample fits" in text_of(site.get(f"{place}?text=nothing"))
    assert site.get(f"{place}?state=moon").status_code == 400
    assert site.get("/nope").status_code == 404
    viewer = text_of(site.get(place, "viewer"))
    assert "S2" in viewer and "Stop this batch?" in viewer


def test_a_script_is_told_what_has_changed(site: Any, dag_id: str) -> None:
    batch = made_batch(dag_id, ["S1"], constants={"genome": "x"})
    address = f"/cwl/workflows/{dag_id}/batches/{batch.id}"
    headers = {"X-Requested-With": "XMLHttpRequest"}
    first = site.client.get(address, headers=headers)
    assert set(first.json["parts"]) == {"head", "rows"}
    assert "csrf_token" not in str(first.json)  # there is a new one each second: the page would always have changed
    same = site.client.get(address, headers={**headers, "If-None-Match": first.headers["ETag"]})
    assert same.status_code == 304
    go_on(batch)
    end_row(batch, "S1")
    changed = site.client.get(address, headers={**headers, "If-None-Match": first.headers["ETag"]})
    assert (changed.status_code, changed.json["ended"]) == (200, True)


def test_stopped_and_run_again(site: Any, dag_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stops.stops, "stop_run", _stop_in_database)
    batch = made_batch(dag_id, ["S1", "S2"], constants={"genome": "x"})
    go_on(batch)
    assert site.post(f"/{batch.id}/stop", True).json == {"stopped": 2}
    text = text_of(site.get(f"/{batch.id}"))
    assert "stopped by the-admin" in text
    assert "stopped 2" in text
    assert site.post(f"/{batch.id}/retry").status_code == 302
    assert batches.get(dag_id, batch.id).counts == {"pending": 2}
    assert "try 2" in text_of(site.get(f"/{batch.id}"))
    assert site.post("/nope/stop", True).status_code == 404


def _stop_in_database(dag_id: str, run_id: str, *, user: str) -> StopReport:
    from cwl_ui_plugin.services.stopping.database_state import fail_unfinished

    found = fail_unfinished(dag_id, run_id, user)
    return StopReport(dag_id=dag_id, run_id=run_id, stopped=found.stopped, seconds=0, message="")


def test_outputs_as_a_table(browser: Callable[..., Any], store: WorkflowStore, folders: Any) -> None:
    from dataclasses import replace

    from cwl_ui_plugin.dags.registration import register

    dag_id = f"samples-{uuid.uuid4().hex[:8]}"
    outputs = (Parameter("sorted", "File"), Parameter("lines", "int"))
    add_version(store, dag_id, replace(plan_of("sort", "count"), outputs=outputs), "one")
    register(dag_id)
    batch = made_batch(dag_id, ["S1", "S2"])
    go_on(batch)
    run_id = end_row(batch, "S1")
    end_row(batch, "S2", "failed", "sort")
    place = folders / "outputs" / dag_id / run_id
    place.mkdir(parents=True)
    (place / "a <b>.txt").write_text("x")
    file = {"class": "File", "location": (place / "a <b>.txt").as_uri(), "basename": "a <b>.txt"}
    push(dag_id, run_id, GATHERER, "return_value", {"sorted": file, "lines": 5})
    page = browser("viewer").get(f"/cwl/workflows/{dag_id}/batches/{batch.id}/outputs")
    assert f"/runs/{run_id}/files/a%20%3Cb%3E.txt" in page.text
    text = text_of(page)
    assert "a <b>.txt" in text and " 5 " in text and "S2" in text
    assert f"batches/{batch.id}/zip" in page.text
