"""The page of a run: what it says, what it asks for, and what hostile names and outputs do to it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from support.stored import BEGAN, spread, start_run

from cwl_ui_plugin.cwl.plan import Parameter
from cwl_ui_plugin.dags.folders.intermediate import GONE
from cwl_ui_plugin.dags.folders.run_folder import TaskTry
from cwl_ui_plugin.services.monitoring import naming
from cwl_ui_plugin.services.monitoring.naming import Naming
from cwl_ui_plugin.services.triggering import triggers

SCRIPT = {"X-Requested-With": "XMLHttpRequest"}
HOSTILE = "<script>alert(1)</script>\u202egpj.exe"


def at(path: str, **query: Any) -> str:
    return f"/cwl/{path}?{urlencode(query, doseq=True)}"


@pytest.fixture
def page(browser: Callable[..., Any], workflow: str, run_id: str) -> Callable[..., Any]:
    """Get a page about the run as a viewer: ``page("run/step", task_id="sort")``."""
    viewer = browser("viewer")

    def get(path: str, headers: dict[str, str] | None = None, **query: Any) -> Any:
        return viewer.get(at(path, dag_id=workflow, run_id=run_id, **query), headers=headers)

    return get


@pytest.fixture
def fail_sort(workflow: str, run_id: str, airflow: Any) -> Callable[..., None]:
    """Let the step ``sort`` fail: ``fail_sort(exit_code=1, ...)``."""

    def fail(**error: Any) -> None:
        ended = BEGAN + timedelta(seconds=3)
        airflow.set_task(workflow, run_id, "sort", state="failed", start_date=BEGAN, end_date=ended, duration=3)
        told = {"message": "Step sort: it ended badly", "kind": "permanentFail", "stderr": "", **error}
        airflow.push(workflow, run_id, "sort", "cwl_error", told)
        airflow.set_run(workflow, run_id, "failed")

    return fail


def test_a_failure_comes_first_with_its_command_and_what_to_do(
    page: Callable[..., Any], fail_sort: Callable[..., None]
) -> None:
    fail_sort(exit_code=127, stderr="sort2: not found", command=["sort2", "a file"])
    text = page("run").text
    failure = text[text.index('id="run-problem"') : text.index('id="run-outputs"')]
    for said in ("with exit code 127", "sort2 &#39;a file&#39;", "sort2: not found", "DockerRequirement", "What to do"):
        assert said in failure


@pytest.mark.parametrize(
    ("error", "advised"),
    [
        ({"exit_code": 137}, "ramMin"),
        ({"exit_code": 2}, "standard error"),
        ({"kind": "temporaryFail", "exit_code": 75}, "may pass"),
        ({"kind": "unsupported"}, "Change the workflow"),
        ({"message": "the command did not end within its time limit of 3 seconds"}, "ToolTimeLimit"),
        ({"message": "x (the disk is full: 0 MiB are free in /tmp)"}, "make room"),
        ({"message": f"Step x needs y, which is {GONE}."}, "clear the task that it names"),
    ],
)
def test_advice_fits_the_failure(
    page: Callable[..., Any], fail_sort: Callable[..., None], error: dict[str, Any], advised: str
) -> None:
    fail_sort(**error)
    assert advised in page("run").text


def test_earlier_runs_tell_how_long_it_may_take(
    page: Callable[..., Any], workflow: str, run_id: str, airflow: Any
) -> None:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import update

    assert "earlier runs" not in page("run").text
    for seconds in (10, 90, 20):
        earlier = triggers.trigger(workflow, conf={"job": {"text": "x"}}, user="ada", via=triggers.REST).run_id
        with create_session() as session:
            values = {"_state": "success", "start_date": BEGAN, "end_date": BEGAN + timedelta(seconds=seconds)}
            session.execute(update(DagRun).where(DagRun.run_id == earlier).values(values))
    assert "20.0 s, as earlier runs took" in page("run").text
    airflow.set_run(workflow, run_id, "success")
    assert "earlier runs took about 20.0 s" in page("run").text


def test_a_script_gets_the_parts_and_then_nothing_until_something_changes(
    page: Callable[..., Any], workflow: str, run_id: str, airflow: Any
) -> None:
    first = page("run", SCRIPT)
    assert set(first.json["parts"]) == {"head", "problem", "outputs", "timeline", "steps"}
    assert first.json["ended"] is False
    again = page("run", {**SCRIPT, "If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    airflow.set_task(workflow, run_id, "sort", last_heartbeat_at=BEGAN)
    assert page("run", {**SCRIPT, "If-None-Match": first.headers["ETag"]}).status_code == 304
    airflow.set_task(workflow, run_id, "sort", state="running", start_date=BEGAN)
    changed = page("run", {**SCRIPT, "If-None-Match": first.headers["ETag"]})
    assert changed.status_code == 200
    assert changed.json["states"]["sort"] == "running"
    assert changed.json["news"] != first.json["news"]


@pytest.mark.parametrize(("waits", "most"), [(False, 4), (True, 7)])
def test_what_has_not_changed_costs_few_queries(
    page: Callable[..., Any], workflow: str, run_id: str, statements: list[str], waits: bool, most: int
) -> None:
    if not waits:
        start_run(workflow, run_id)
    tag = page("run", SCRIPT).headers["ETag"]
    statements.clear()
    assert page("run", {**SCRIPT, "If-None-Match": tag}).status_code == 304
    assert len(statements) <= most, statements  # two of them Airflow's: is the token revoked, which team has the Dag


@pytest.fixture
def reported(workflow: str, run_id: str) -> Iterator[Callable[..., None]]:
    """Set a Connection for reports, and how far those of the run are: ``reported(sequence=5, delivered=3)``."""
    from airflow.models import Connection
    from airflow.utils.session import create_session

    from cwl_ui_plugin.reports.tables import ReportState

    with create_session() as session:
        session.add(Connection(conn_id="process_report", conn_type="http", host="localhost"))

    def put(**values: Any) -> None:
        with create_session() as session:
            key = {"dag_id": workflow, "run_id": run_id}
            session.query(ReportState).filter_by(**key).delete()
            session.add(ReportState(**key, run_key=1, updated_at=BEGAN, **values))

    yield put
    with create_session() as session:
        session.query(Connection).filter_by(conn_id="process_report").delete()
        session.query(ReportState).filter_by(run_id=run_id).delete()


def test_reports_are_counted_where_somebody_gets_them(page: Callable[..., Any], workflow: str, run_id: str) -> None:
    assert '/reports"' not in page("run").text


def test_a_page_looks_on_until_the_last_report_is_delivered(
    page: Callable[..., Any], workflow: str, run_id: str, airflow: Any, reported: Callable[..., None]
) -> None:
    assert "</a>: 0 delivered</p>" in page("run").text
    reported(sequence=5, delivered=3)
    assert f'/cwl/runs/{workflow}/{run_id}/reports">Reports</a>: 3 delivered, 2 waiting</p>' in page("run").text
    airflow.set_run(workflow, run_id, "success")
    ended = page("run", SCRIPT)
    assert (ended.json["ended"], ended.json["over"]) == (True, False)
    reported(sequence=5, delivered=5)
    changed = page("run", {**SCRIPT, "If-None-Match": ended.headers["ETag"]})
    assert "5 delivered</p>" in changed.json["parts"]["head"]
    assert changed.json["over"] is False  # the reports about the end are not recorded yet
    reported(sequence=7, delivered=7, settled_end=BEGAN)
    assert page("run", SCRIPT).json["over"] is True


def test_a_thousand_elements_are_one_line(page: Callable[..., Any], workflow: str, run_id: str, airflow: Any) -> None:
    spread(workflow, run_id, "sort", 1000)
    text = page("run").text
    assert "1000 scatter elements" in text
    assert "1 failed" in text
    assert len(text) < 120_000
    first = page("run/elements", SCRIPT, task_id="sort").text
    assert first.count("<tr ") == 101
    assert "100 of 1000" in first
    assert page("run/elements", SCRIPT, task_id="sort", offset=950).text.count("<tr ") == 51
    assert page("run/elements", SCRIPT, task_id="sort", state="failed").text.count("<tr ") == 2
    assert page("run/elements", SCRIPT, task_id="sort", text="ELEMENT 99").text.count("<tr ") == 12
    assert page("run/elements", SCRIPT, task_id="sort", text="element 99", state="failed").text.count("<tr ") == 2
    assert "No element is called so." in page("run/elements", SCRIPT, task_id="sort", text="<b>").text


def test_the_number_of_queries_does_not_grow_with_the_elements(
    page: Callable[..., Any], workflow: str, run_id: str, statements: list[str]
) -> None:
    def count() -> int:
        statements.clear()
        page("run")
        return len(statements)

    count()
    few = count()
    spread(workflow, run_id, "sort", 300)
    assert count() == few <= 14, (
        statements
    )  # 9, and up to 5 that Airflow asks for its own, which depends on its version


@pytest.mark.usefixtures("no_supervisors")
def test_a_stopped_run_says_who_stopped_it_and_blames_no_step(
    page: Callable[..., Any], workflow: str, run_id: str, airflow: Any
) -> None:
    from cwl_ui_plugin.services.stopping import stops

    airflow.set_task(workflow, run_id, "sort", state="running", start_date=BEGAN)
    stops.stop_run(workflow, run_id, user="eve")
    text = page("run").text
    head, problem = text.split('id="run-problem"')
    problem = problem[: problem.index('id="run-outputs"')]
    assert 'data-state="stopped" dir="auto">Stopped by eve, <time' in head
    assert "alert" not in problem, "a stop is no failure"


def test_addresses_fit_a_prefix(
    browser: Callable[..., Any], workflow: str, run_id: str, folders: Path, airflow: Any
) -> None:
    folder = folders / "outputs" / workflow / run_id
    folder.mkdir(parents=True)
    (folder / "a b.txt").write_text("x")
    file = {"class": "File", "location": (folder / "a b.txt").as_uri(), "basename": "a b.txt"}
    airflow.push(workflow, run_id, "CWLJobGatherer", "return_value", {"out": file})
    path = at("run", dag_id=workflow, run_id=run_id)
    text = browser("viewer").get(path, environ_overrides={"SCRIPT_NAME": "/airflow/pluginsv2"}).text
    assert f'href="/airflow/cwl/api/v1/workflows/{workflow}/runs/{run_id}/files/a%20b.txt"' in text
    assert 'data-url="/airflow/pluginsv2/cwl/run?' in text
    assert f'href="/airflow/dags/{workflow}/runs/' in text


@pytest.fixture
def printed(workflow: str, run_id: str) -> Callable[..., Path]:
    """Write what a command prints: ``printed("text")``."""

    def write(text: str | bytes, stream: str = "stdout", task_id: str = "sort") -> Path:
        path = TaskTry(workflow, run_id, task_id, -1, 0).folder / f"{stream}.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write


def test_a_step_shows_what_it_prints_and_a_script_gets_what_comes_after(
    page: Callable[..., Any], printed: Callable[..., Path], workflow: str, run_id: str, airflow: Any
) -> None:
    airflow.set_task(workflow, run_id, "sort", state="running", start_date=BEGAN)
    path = printed(f"{HOSTILE}\n")
    (path.parent / "command.json").write_text(json.dumps(["sort", HOSTILE]))
    text = page("run/step", task_id="sort").text
    assert HOSTILE not in text
    assert "&lt;script&gt;alert(1)" in text
    assert "sort &#39;&lt;script&gt;" in text
    end = path.stat().st_size
    with path.open("ab") as file:
        file.write("ü".encode()[:1])
    assert page("run/log", SCRIPT, task_id="sort", stream="stdout", offset=end).json["text"] == ""
    with path.open("ab") as file:
        file.write("ü".encode()[1:])
    part = page("run/log", SCRIPT, task_id="sort", stream="stdout", offset=end).json
    assert (part["text"], part["end"]) == ("ü", end + 2)


def test_a_line_of_ten_megabytes_is_cut(page: Callable[..., Any], printed: Callable[..., Path]) -> None:
    printed(b"x" * 10_000_000)
    answer = page("run/step", task_id="sort")
    assert len(answer.text) < 100_000
    assert "The end of 10 MB." in answer.text


@pytest.mark.parametrize("task_id", ["../sort", "..", "sort/../sort", "nothing", ""])
def test_only_tasks_of_the_run_have_logs(page: Callable[..., Any], printed: Callable[..., Path], task_id: str) -> None:
    printed("secret")
    answer = page("run/log", SCRIPT, task_id=task_id, stream="stdout")
    assert answer.status_code == 404
    assert "secret" not in answer.text
    assert page("run/step", task_id="sort", **{"try": 7}).status_code == 404
    assert page("run/log", SCRIPT, task_id="sort", stream="../stdout").status_code == 400


def test_a_log_that_is_a_link_or_no_file_is_not_read(
    page: Callable[..., Any], printed: Callable[..., Path], folders: Path
) -> None:
    import os

    (folders / "secret.txt").write_text("secret")
    path = printed("x")
    path.unlink()
    path.symlink_to(folders / "secret.txt")
    assert "secret" not in page("run/step", task_id="sort").text
    path.unlink()
    os.mkfifo(path)
    assert page("run/log", SCRIPT, task_id="sort", stream="stdout").json["size"] == 0
    path.unlink()
    path.parent.rmdir()
    (folders / "elsewhere").mkdir()
    (folders / "elsewhere/stdout.log").write_text("secret")
    path.parent.symlink_to(folders / "elsewhere")
    assert "secret" not in page("run/step", task_id="sort").text


def test_usage_is_drawn_from_samples_and_from_totals(
    page: Callable[..., Any], printed: Callable[..., Path], workflow: str, run_id: str, airflow: Any
) -> None:
    assert "Nothing is known yet" in page("run/usage", SCRIPT).text
    ended = BEGAN + timedelta(seconds=10)
    airflow.set_task(workflow, run_id, "sort", state="success", start_date=BEGAN, end_date=ended, duration=10)
    airflow.set_task(workflow, run_id, "count", state="success", start_date=BEGAN, end_date=ended, duration=10)
    start_run(workflow, run_id)
    usage = printed("x").with_name("usage.txt")
    usage.write_text(f"{BEGAN.timestamp() + 1} 1.50 1000000\nnonsense\n{BEGAN.timestamp() + 5} 0.10 3000000\n")
    statistics = {"command": ["wc"], "exit_code": 0, "seconds": 10, "cpu_seconds": 20, "peak_memory_bytes": 500_000}
    airflow.push(workflow, run_id, "count", "return_value", {"cwl:statistics": statistics})
    text = page("run/usage", SCRIPT).text
    assert "at most 3.5 cores" in text
    assert "at most 3.5 MB" in text
    assert "1 task was looked at" in text


def test_the_first_and_last_task_are_shown_to_who_asks_for_them(page: Callable[..., Any]) -> None:
    def steps(**query: Any) -> str:
        text: str = page("run", SCRIPT, **query).json["parts"]["steps"]
        return text

    assert "CWLJobDispatcher" not in steps()
    assert "Step sort" in steps()
    for task in ("CWLJobDispatcher", "CWLJobGatherer"):
        assert task in steps(tasks="all")


def test_inputs_that_were_not_accepted_are_told_without_our_words(
    page: Callable[..., Any], workflow: str, run_id: str, airflow: Any
) -> None:
    airflow.set_task(workflow, run_id, "CWLJobDispatcher", state="failed", start_date=BEGAN, end_date=BEGAN)
    airflow.push(workflow, run_id, "CWLJobDispatcher", "cwl_error", {"message": "text is missing", "exit_code": None})
    airflow.set_run(workflow, run_id, "failed")
    parts = page("run", SCRIPT).json["parts"]
    assert "The inputs were not accepted" in parts["problem"]
    assert "accepted failed" not in parts["problem"]
    assert "The inputs were not accepted</a>" in parts["steps"]
    assert "CWLJobDispatcher</" not in "".join(parts.values())


def test_a_run_gets_a_title_tags_and_a_note(
    browser: Callable[..., Any], page: Callable[..., Any], workflow: str, run_id: str, csrf: Callable[[Any], str]
) -> None:
    admin = browser("admin")
    given = {"title": f"Liver {HOSTILE}"[:30], "tags": "mouse, <i>, mouse", "note": "Look.\r\nTwice."}
    answer = admin.post(at("run/label", dag_id=workflow, run_id=run_id), data={"csrf_token": csrf(admin), **given})
    assert answer.status_code == 302, answer.text
    text = page("run").text
    assert "Liver &lt;script&gt;" in text
    assert 'tag=mouse">mouse</a>' in text
    assert "&lt;i&gt;</a>" in text
    assert "Look.\nTwice." in text
    listed = browser("viewer").get(at("runs", dag_id=workflow, text="twice")).text
    assert "Liver &lt;script&gt;" in listed
    refused = admin.post(
        at("run/label", dag_id=workflow, run_id=run_id), data={"csrf_token": csrf(admin), "title": "x" * 300}
    )
    assert (refused.status_code, "200 characters" in refused.text) == (400, True)
    assert "data-confirm" not in page("run").text, "a viewer only reads"


def test_a_run_with_outputs_can_be_had_as_a_crate(
    page: Callable[..., Any], workflow: str, run_id: str, airflow: Any
) -> None:
    airflow.push(workflow, run_id, "CWLJobGatherer", "return_value", {"count": 3})
    airflow.set_run(workflow, run_id, "success")
    text = page("run").text
    assert f'action="/cwl/api/v1/workflows/{workflow}/runs/{run_id}/crate"' in text
    assert '<input type="checkbox" name="logs" value="true">' in text


def test_a_run_says_where_its_workflow_and_its_files_came_from(
    browser: Callable[..., Any], add: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from cwl_ui_plugin.cwl.plan import Parameter

    monkeypatch.setenv("AIRFLOW__CWL__FETCH_HOSTS", "data.example.org")
    added = add("imported", inputs=(Parameter(id="reads", type="File"),))
    data = json.loads((added.folder / "version.json").read_text())
    origin = {"kind": "git", "address": "https://git.example.org/<b>", "commit": "0123456789abcdef", "verified": 0}
    (added.folder / "version.json").write_text(json.dumps({**data, "origin": origin}))
    reads = {"class": "File", "location": "https://data.example.org/reads.fq?key=1"}
    run = triggers.trigger("imported", conf={"job": {"reads": reads}}, user="ada", via=triggers.VIEW)
    text = " ".join(browser("viewer").get(at("run", dag_id="imported", run_id=run.run_id)).text.split())
    assert "<dt>Came from</dt><dd>the repository <code>https://git.example.org/&lt;b&gt;</code>" in text
    assert "commit <code>0123456789ab</code>" in text
    assert "fetched from: https://data.example.org/reads.fq" in text


def test_inputs_are_called_as_their_author_calls_them(
    add: Callable[..., Any], workflow: str, browser: Callable[..., Any]
) -> None:
    inputs = (
        Parameter(id="text", type="string", label="What to <say>"),
        Parameter(id="words", type=["null", {"type": "array", "items": "string"}], label="Words"),
        Parameter(id="file", type=["null", "File"], label="Reads"),
        Parameter(id="plain", type=["null", "string"]),
    )
    add(workflow, "two", inputs=inputs)
    file = {"class": "File", "basename": "reads.fastq", "contents": "x"}
    job = {"text": "x", "words": ["a"], "file": file, "plain": "y"}
    triggers.trigger(workflow, conf={"job": job}, run_id="labelled", user="ada", via=triggers.REST)
    text = browser("viewer").get(at("run", dag_id=workflow, run_id="labelled")).text
    shown = text[text.index('id="run-inputs"') :]
    for said in ('title="text">What to &lt;say&gt;<', 'title="words">Words<', 'title="file">Reads<', ">plain<"):
        assert said in shown, said


@pytest.mark.parametrize("part", ["run/step", "run/resources", "reports"])
def test_what_belongs_to_a_run_calls_it_by_its_title(
    page: Callable[..., Any], workflow: str, run_id: str, part: str
) -> None:
    naming.name_run(workflow, run_id, Naming(title="Sample <7>"), user="ada")
    path = f"runs/{workflow}/{run_id}/reports" if part == "reports" else part
    assert "Sample &lt;7&gt;" in page(path, **({"task_id": "sort"} if part == "run/step" else {})).text
