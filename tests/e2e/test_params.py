"""Airflow's own ways to start a run of a CWL Dag: its form in a real browser, its REST API, its command, an operator.

The same workflow gives the same outputs by each of them, and a wrong value is refused in words that name the input.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect
from support.airflow_server import TRIGGERING_DAG_ID, Server, wait_for
from support.browsers import ACTION_MS, log_in, picture
from support.wide_workflows import ENUM, FILES, RECORDS, Wide, wide_workflow

pytestmark = pytest.mark.e2e

WIDE = {"rnaseq": (36, 30), "chipseq": (60, 12), "variants": (32, 36)}
"""Inputs and steps of each workflow."""
READS = ("r1.fastq", "r2.fastq", "a.fastq", "b.fastq")
SMALL = {"text": {"type": "string"}, "count": {"type": "int", "default": 1}, "reads": {"type": "File"}}


@pytest.fixture
def page(chromium: Browser, server: Server) -> Iterator[Page]:
    """A page of a user who has logged in to Airflow."""
    opened = chromium.new_context(viewport={"width": 1400, "height": 1000}).new_page()
    opened.set_default_timeout(ACTION_MS)
    log_in(opened, server, server.user, server.password)
    yield opened


@pytest.fixture
def reads(server: Server) -> str:
    """A folder of inputs that everybody may use, with reads; its name as jobs give it."""
    name = f"reads_{uuid.uuid4().hex[:8]}"
    folder = server.home / "cwl/inputs" / name
    folder.mkdir(mode=0o700, parents=True)
    for file in READS:
        (folder / file).write_text(f"{file}\n")
        (folder / file).chmod(0o600)
    return name


def uploaded(server: Server, tmp_path: Path, name: str, document: dict[str, Any]) -> str:
    """Upload a document under a name of its own; return the id of its Dag."""
    path = tmp_path / f"{name}_{uuid.uuid4().hex[:8]}.cwl"
    path.write_text(json.dumps(document))
    server.command("upload", path)
    return path.stem


def open_form(page: Page, server: Server, dag_id: str, first: str) -> None:
    page.goto(f"{server.url}/dags/{dag_id}")
    page.get_by_test_id("trigger-dag-button").first.click()
    expect(page.locator(f"[id='element_{first}']")).to_be_visible(timeout=60_000)


def fill(page: Page, name: str, kind: Any, value: Any) -> None:
    """Give an input a value in Airflow's form, as its control takes it."""
    kinds = [part for part in kind if part != "null"] if isinstance(kind, list) else [kind]
    if kinds == [ENUM]:
        page.locator(f"[id='element_{name}']").click()
        page.get_by_role("option", name=value, exact=True).click()
    elif kinds == ["boolean"]:
        page.locator(f"label:has(input[name='element_{name}'])").click()
    else:
        field = page.locator(f"[name='element_{name}']")
        field.fill("\n".join(value) if isinstance(value, list) else str(value))
        field.blur()


def value_for(kind: Any, number: int, reads: str) -> Any:
    """Return a value for an input as the form takes it."""
    kinds = [part for part in kind if part != "null"] if isinstance(kind, list) else [kind]
    if kinds == [ENUM]:
        return "strict"
    values = {
        "File": f"{reads}/a.fastq",
        "string": f"text {number}",
        "int": number + 2,
        "double": 0.25,
        "boolean": True,
    }
    return [f"{reads}/a.fastq", f"{reads}/b.fastq"] if kinds == [FILES] else values[kinds[0]]


def printed(name: str, value: Any, report: dict[str, str]) -> None:
    """Check that a step was given a value: what it has printed."""
    text = report[name]
    if isinstance(value, list):
        assert [part.rsplit("/", 1)[-1] for part in text.split(",")] == [part.rsplit("/", 1)[-1] for part in value]
    elif isinstance(value, bool):
        assert text == ""
    elif isinstance(value, str) and value.endswith(".fastq"):
        assert text.rsplit("/", 1)[-1] == value.rsplit("/", 1)[-1]
    else:
        assert text == str(value)


def trigger(page: Page) -> str:
    """Press the form's button; return the id of the run that Airflow has created."""
    with page.expect_response(lambda answer: answer.request.method == "POST" and "/dagRuns" in answer.url) as answer:
        page.get_by_role("button", name="Trigger", exact=True).last.click()
    assert answer.value.ok, answer.value.text()
    return str(answer.value.json()["dag_run_id"])


def text_of(client: httpx.Client, dag_id: str, run_id: str, output: str) -> str:
    outputs = client.get(f"/cwl/api/v1/workflows/{dag_id}/runs/{run_id}/outputs").json()
    return client.get(f"/cwl/api/v1/workflows/{dag_id}/runs/{run_id}/files/{outputs[output]['basename']}").text


@pytest.mark.parametrize(
    "name", ["rnaseq", *(pytest.param(name, marks=pytest.mark.again("rnaseq")) for name in ("chipseq", "variants"))]
)
def test_airflows_form_of_a_wide_workflow_starts_a_run_with_what_was_filled_in(
    page: Page, server: Server, client: httpx.Client, tmp_path: Path, reads: str, name: str
) -> None:
    wide = wide_workflow(name, *WIDE[name])
    dag_id = uploaded(server, tmp_path, name, wide.document)
    open_form(page, server, dag_id, "fastq_r2")
    picture(page, server, f"params-{name}-empty")
    expect(page.get_by_role("button", name="Trigger", exact=True).last).to_be_disabled()
    labels = page.locator("label", has_text=re.compile("^Reads [12]"))
    assert [label.split("*")[0].strip() for label in labels.all_inner_texts()] == ["Reads 2", "Reads 1"]

    given = _given(wide, reads)
    folded = [input_name for input_name in given if "sd:layout" in wide.document["inputs"][input_name]]
    for input_name in (input_name for input_name in given if input_name not in folded):
        fill(page, input_name, wide.kinds[input_name], given[input_name])
    picture(page, server, f"params-{name}-filled")
    page.get_by_role("button", name="Advanced", exact=True).click()  # which folds the others away
    for input_name in folded:
        fill(page, input_name, wide.kinds[input_name], given[input_name])
    picture(page, server, f"params-{name}-advanced")
    run_id = trigger(page)
    run = server.wait_for_run(client, dag_id, run_id, seconds=400)
    assert run["state"] == "success", run["error"]
    lines = text_of(client, dag_id, run_id, "report").splitlines()
    report = dict(line.split("=", 1) for line in lines if "=" in line)
    for input_name, value in given.items():
        printed(input_name, value, report)
    not_given = [input_name for input_name in wide.names if input_name not in given]
    assert {report[input_name] for input_name in not_given if input_name.startswith("trimming")} <= {"mild"}
    assert not [input_name for input_name in not_given if input_name.startswith("annotation") and input_name in report]


def _given(wide: Wide, reads: str) -> dict[str, Any]:
    """Values for the required inputs, the first of each optional kind, and some that the form folds away."""
    chosen = [*wide.names[:12], *wide.names[22:28]]
    given = {name: value_for(wide.kinds[name], number, reads) for number, name in enumerate(chosen)}
    return {**given, "fastq_r1": f"{reads}/r1.fastq", "fastq_r2": f"{reads}/r2.fastq"}


def test_airflows_form_takes_records_and_unions(
    page: Page, server: Server, client: httpx.Client, tmp_path: Path, reads: str
) -> None:
    dag_id = uploaded(server, tmp_path, "records", RECORDS)
    open_form(page, server, dag_id, "limit")
    write_json(page, "sample", {"reads": f"{reads}/a.fastq", "name": "first", "lanes": 2})
    fill(page, "region", "string", '{"last": 9, "first": 1}')
    fill(page, "limit", "string", "12")
    fill(page, "one_or_many", "string", json.dumps([f"{reads}/a.fastq", f"{reads}/b.fastq"]))
    write_json(page, "more", [{"reads": f"{reads}/b.fastq", "name": "second"}])
    fill(page, "modes", {"type": "array", "items": "string"}, ["strict", "mild"])
    picture(page, server, "params-records-filled")
    run_id = trigger(page)
    run = server.wait_for_run(client, dag_id, run_id)
    assert run["state"] == "success", run["error"]
    given = json.loads(client.get(f"/cwl/api/v1/workflows/{dag_id}/runs/{run_id}/outputs").json()["given"])
    assert (given["sample"]["name"], given["sample"]["reads"]["basename"]) == ("first", "a.fastq")
    assert (given["region"], given["limit"], given["modes"]) == ({"last": 9, "first": 1}, 12, ["strict", "mild"])
    assert [item["basename"] for item in given["one_or_many"]] == ["a.fastq", "b.fastq"]
    assert given["more"][0]["reads"]["basename"] == "b.fastq"
    assert given["anything"] == {"a": [1]}


def write_json(page: Page, name: str, value: Any) -> None:
    """Write JSON into one of the form's editors."""
    page.locator(f"[id='element_{name}'] .view-lines").click()
    page.keyboard.press("Control+A")
    page.keyboard.insert_text(json.dumps(value))
    page.keyboard.press("Control+Shift+End")  # the editor closes what it takes for opened
    page.keyboard.press("Delete")


def test_the_form_shows_what_the_server_says_about_a_wrong_value(
    page: Page, server: Server, tmp_path: Path, reads: str
) -> None:
    dag_id = uploaded(server, tmp_path, "wrong", _small())
    open_form(page, server, dag_id, "text")
    fill(page, "text", "string", "x")
    fill(page, "reads", "File", f"{reads}/nothing.fastq")
    page.get_by_role("button", name="Trigger", exact=True).last.click()
    alert = page.get_by_test_id("error-alert")
    expect(alert).to_contain_text(f"reads: there is no file {reads}/nothing.fastq", timeout=60_000)
    picture(page, server, "params-wrong")


def _small() -> dict[str, Any]:
    tool: dict[str, Any] = {name: {**item, "inputBinding": {}} for name, item in SMALL.items()}
    return {
        "cwlVersion": "v1.2",
        "class": "CommandLineTool",
        "baseCommand": "echo",
        "inputs": tool,
        "outputs": {"said": "stdout"},
        "stdout": "said.txt",
    }


def by_rest(server: Server, client: httpx.Client, dag_id: str, run_id: str, conf: dict[str, Any]) -> str:
    """Start a run; return what was said about it, nothing for one that was created."""
    body = {"dag_run_id": run_id, "logical_date": None, "conf": conf}
    answer = client.post(f"/api/v2/dags/{dag_id}/dagRuns", json=body)
    return "" if answer.is_success else str(answer.json()["detail"])


def by_command(server: Server, client: httpx.Client, dag_id: str, run_id: str, conf: dict[str, Any]) -> str:
    """Start a run by `airflow dags trigger` on the machine of the server."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("AIRFLOW")}
    airflow = Path(sys.executable).with_name("airflow")
    result = subprocess.run(
        [airflow, "dags", "trigger", dag_id, "--run-id", run_id, "--conf", json.dumps(conf)],
        env={**environment, "AIRFLOW_HOME": str(server.home)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    return "" if result.returncode == 0 else result.stdout + result.stderr


def by_operator(server: Server, client: httpx.Client, dag_id: str, run_id: str, conf: dict[str, Any]) -> str:
    """Start a run by a TriggerDagRunOperator of another Dag."""
    runs, own = f"/api/v2/dags/{TRIGGERING_DAG_ID}/dagRuns", f"r-{uuid.uuid4()}"
    wait_for(lambda: client.get(f"/api/v2/dags/{TRIGGERING_DAG_ID}").status_code == 200, 120, "the triggering Dag")
    asked = {"dag_id": dag_id, "run_id": run_id, "conf": conf}
    answer = client.post(runs, json={"dag_run_id": own, "logical_date": None, "conf": asked})
    assert answer.is_success, answer.text

    def ended() -> str | None:
        state = client.get(f"{runs}/{own}").json()["state"]
        return str(state) if state in ("success", "failed") else None

    if wait_for(ended, 180, f"the end of {own}") == "success":
        return ""
    logs = client.get(f"{runs}/{own}/taskInstances/start/logs/1", headers={"Accept": "application/x-ndjson"})
    return logs.text


@pytest.mark.parametrize("way", [by_rest, by_command, by_operator])
def test_each_way_of_airflow_gives_the_same_outputs_and_names_what_is_wrong(
    server: Server, client: httpx.Client, tmp_path: Path, reads: str, way: Any
) -> None:
    dag_id = uploaded(server, tmp_path, "small", _small())
    conf = {"text": "hello", "count": 3, "reads": f"{reads}/a.fastq"}
    assert way(server, client, dag_id, "right", conf) == ""
    run = server.wait_for_run(client, dag_id, "right")
    assert run["state"] == "success", run["error"]
    said = text_of(client, dag_id, "right", "said").split()
    assert (said[0], said[1].rsplit("/", 1)[-1], said[2]) == ("3", "a.fastq", "hello")

    told = way(server, client, dag_id, "wrong", {**conf, "count": "many"})
    assert re.search(r"count\W", told), told
    assert "many" in told
    assert client.get(f"/api/v2/dags/{dag_id}/dagRuns/wrong").status_code == 404


def test_a_key_that_only_the_first_task_can_refuse_is_named_on_the_page_of_the_run(
    server: Server, client: httpx.Client, tmp_path: Path, reads: str
) -> None:
    dag_id = uploaded(server, tmp_path, "late", _small())
    conf = {"text": "hello", "raeds": f"{reads}/a.fastq"}
    assert by_command(server, client, dag_id, "late", conf) == "", "Airflow's command does not ask us"
    run = server.wait_for_run(client, dag_id, "late")
    assert run["state"] == "failed"
    assert "raeds: the workflow has no such input; did you mean 'reads'" in run["error"]
