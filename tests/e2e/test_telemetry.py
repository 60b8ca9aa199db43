"""What others are told of real runs: OpenLineage events, OpenTelemetry spans and metrics, the page for Prometheus."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.airflow_server import Server, standalone, wait_for
from support.lineage_schema import facets, problems
from support.telemetry import Collector, collector

from cwl_ui_plugin.observing import stats

pytest.importorskip("airflow.providers.openlineage")
pytestmark = pytest.mark.e2e
DAG_ID = "observed"
GOOD, BAD = "good", "bad"
TOKEN = f"scraper-{uuid.uuid4().hex}"
SECRET = f"S3cret-{uuid.uuid4().hex}"


def tool(script: str, inputs: dict[str, Any], *arguments: str) -> dict[str, Any]:
    return {
        "class": "CommandLineTool",
        "inputs": inputs,
        "arguments": ["sh", "-c", script, *arguments],
        "stdout": "out.txt",
        "outputs": {"out": "stdout"},
    }


SAY = tool("echo $0", {"word": "string"}, "$(inputs.word)")
COUNT = tool("wc -l < $0", {"file": "File"}, "$(inputs.file.path)")
FINISH = tool(
    'cat "$0"; exit $1',
    {"count": "File", "words": "File[]", "sesame": "string", "code": "int"},
    "$(inputs.count.path)",
    "$(inputs.code)",
    "$(inputs.sesame)",
)
WORKFLOW: dict[str, Any] = {
    "cwlVersion": "v1.2",
    "$namespaces": {"cwltool": "http://commonwl.org/cwltool#"},
    "class": "Workflow",
    "hints": {"cwltool:Secrets": {"secrets": ["sesame"]}},
    "requirements": {"ScatterFeatureRequirement": {}, "SubworkflowFeatureRequirement": {}},
    "inputs": {"words": "string[]", "file": "File", "sesame": "string", "code": "int"},
    "outputs": {"out": {"type": "File", "outputSource": "finish/out"}},
    "steps": {
        "say": {"run": SAY, "scatter": "word", "in": {"word": "words"}, "out": ["out"]},
        "inner": {
            "run": {
                "class": "Workflow",
                "inputs": {"file": "File"},
                "outputs": {"out": {"type": "File", "outputSource": "count/out"}},
                "steps": {"count": {"run": COUNT, "in": {"file": "file"}, "out": ["out"]}},
            },
            "in": {"file": "file"},
            "out": ["out"],
        },
        "finish": {
            "run": FINISH,
            "in": {"count": "inner/out", "words": "say/out", "sesame": "sesame", "code": "code"},
            "out": ["out"],
        },
    },
}


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    with collector(tmp_path_factory.mktemp("telemetry") / "calls") as running:
        yield running


@pytest.fixture(scope="module")
def watched(seen: Collector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that tells everything, after a run that succeeded and one that failed."""
    transport = {"type": "http", "url": seen.url, "endpoint": "api/v1/lineage"}
    variables = {
        "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(transport),
        "AIRFLOW__OPENLINEAGE__NAMESPACE": "the-site",
        "AIRFLOW__TRACES__OTEL_ON": "True",
        "AIRFLOW__METRICS__OTEL_ON": "True",
        "OTEL_TRACES_EXPORTER": "otlp_proto_http",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_ENDPOINT": seen.url,
        "OTEL_METRIC_EXPORT_INTERVAL": "1000",
        "AIRFLOW__CWL__METRICS_TOKEN": TOKEN,
        "AIRFLOW__CWL__REUSE": "True",
    }
    folder = tmp_path_factory.mktemp("observed")
    document, data = folder / f"{DAG_ID}.cwl", folder / "data.txt"
    document.write_text(json.dumps(WORKFLOW))
    data.write_text("a\nb\n")
    with standalone(folder / "home", "simple", **variables) as server, server.client() as client:
        inputs = server.home / "cwl" / "inputs"
        data.rename(inputs / "data.txt")
        server.command("upload", document)
        for run_id, code in ((GOOD, 0), (BAD, 3)):
            job = {"words": ["one", "two"], "file": file_of("data.txt"), "sesame": SECRET, "code": code}
            answer = client.post(f"/cwl/api/v1/workflows/{DAG_ID}/runs", json={"run_id": run_id, "job": job})
            assert answer.is_success, answer.text
            ended = server.wait_for_run(client, DAG_ID, run_id)
            assert ended["state"] == ("success" if code == 0 else "failed"), ended
        wait_for(lambda: of(seen.events(), BAD, DAG_ID, "FAIL"), 60, "the event of the failed run")
        yield server


def file_of(path: str) -> dict[str, str]:
    return {"class": "File", "path": path}


def of(events: list[dict[str, Any]], run_id: str, job: str, kind: str) -> list[dict[str, Any]]:
    """Return the events of a run, by the name of their job and their type."""
    found = [event for event in events if event["job"]["name"] == job and event["eventType"] == kind]
    return [event for event in found if run_of(event) == run_id]


def run_of(event: dict[str, Any]) -> str:
    run_facets = event["run"]["facets"]
    told = run_facets.get("airflow") or run_facets.get("airflowDagRun") or run_facets.get("airflowState") or {}
    return str(told.get("dagRun", {}).get("run_id") or "")


def test_every_event_is_as_the_specification_says(watched: Server, seen: Collector) -> None:
    events = seen.events()
    assert len(events) > 40
    assert {f"{event['job']['name']}: {problem}" for event in events for problem in problems(event)} == set()


def test_the_schemas_are_where_the_events_say(watched: Server, seen: Collector) -> None:
    urls = {facet["_schemaURL"] for event in seen.events() for _holder, name, facet in facets(event) if "cwl_" in name}
    assert len(urls) == 3
    for url in urls:
        assert url.startswith(watched.url)
        assert url.rpartition("/")[2] in httpx.get(url, trust_env=False).json()["$defs"]


def test_no_event_has_the_job(watched: Server, seen: Collector) -> None:
    """Nor the secret in it, whose name tells nobody that it is one."""
    text = json.dumps(seen.events())
    assert SECRET not in text
    assert "cwl_grant" not in text
    told = [event["run"]["facets"].get("airflow") or event["run"]["facets"]["airflowDagRun"] for event in seen.events()]
    assert all(set(one["dagRun"]["conf"]) == {"cwl"} for one in told)


def test_a_task_tells_what_it_is_and_whose(watched: Server, seen: Collector) -> None:
    (event,) = of(seen.events(), GOOD, f"{DAG_ID}.inner.count", "COMPLETE")
    job = event["job"]["facets"]
    digest = job["cwl_job"]["version"]
    assert job["cwl_job"]["tool"] == "count"
    assert job["sourceCodeLocation"]["version"] == digest
    with watched.client() as client:
        assert client.get(job["sourceCodeLocation"]["url"]).json() == WORKFLOW
    (run,) = of(seen.events(), GOOD, DAG_ID, "START")
    assert event["run"]["facets"]["parent"]["run"]["runId"] == run["run"]["runId"]
    assert event["run"]["facets"]["cwl_run"]["exitCode"] == 0
    assert "wc -l" in event["run"]["facets"]["cwl_run"]["command"]


def test_the_files_of_a_run_are_one_chain(watched: Server, seen: Collector) -> None:
    """From the job's file to the output: what one task made is what the next has read."""
    done = {
        event["job"]["name"]: event
        for event in seen.events()
        if event["eventType"] == "COMPLETE" and run_of(event) == GOOD
    }
    given = str(watched.home / "cwl" / "inputs" / "data.txt")
    count, finish, last = (done[f"{DAG_ID}.{task}"] for task in ("inner.count", "finish", "CWLJobGatherer"))
    assert names(done[f"{DAG_ID}.CWLJobDispatcher"]["inputs"]) == names(count["inputs"]) == {given}
    assert names(count["outputs"]) <= names(finish["inputs"])
    assert len(names(finish["inputs"])) == 3  # and that of each element
    assert names(finish["outputs"]) == names(last["inputs"])
    (delivered,) = last["outputs"]
    assert Path(delivered["name"]).is_relative_to(watched.home / "cwl" / "outputs" / DAG_ID / GOOD)
    assert delivered["outputFacets"]["outputStatistics"]["size"] == Path(delivered["name"]).stat().st_size
    assert delivered["facets"]["version"]["datasetVersion"].startswith("sha1$")


def test_each_element_of_a_scatter_tells_its_own_files(watched: Server, seen: Collector) -> None:
    elements = of(seen.events(), GOOD, f"{DAG_ID}.say", "COMPLETE")
    assert len(elements) == len({event["run"]["runId"] for event in elements}) == 2
    assert len({path for event in elements for path in names(event["outputs"])}) == 2


def test_a_failed_step_tells_how_and_with_which_files(watched: Server, seen: Collector) -> None:
    (event,) = of(seen.events(), BAD, f"{DAG_ID}.finish", "FAIL")
    told = event["run"]["facets"]["cwl_run"]
    assert (told["failure"], told["exitCode"], told["inputs"], told["outputs"]) == ("permanentFail", 3, 3, 0)
    assert event["run"]["facets"]["errorMessage"]["message"]
    assert of(seen.events(), BAD, DAG_ID, "FAIL")


def names(found: list[dict[str, Any]]) -> set[str]:
    return {dataset["name"] for dataset in found}


def test_each_command_has_its_spans_below_that_of_its_task(watched: Server, seen: Collector) -> None:
    spans = wait_for(lambda: whole(seen.spans()), 60, "the spans of the runs")
    by_id = {span.span_id: span for span in spans}
    for name in ("cwl.staged", "cwl.command", "cwl.collected"):
        found = [span for span in spans if span.name == name]
        assert len(found) == 5, name  # of the second run only the step that fails: the others are reused
        for span in found:
            step = by_id[span.parent_span_id]
            worker = by_id[step.parent_span_id]
            task = by_id[worker.parent_span_id]
            assert step.name.startswith("cwl.step ")
            assert worker.name.startswith("worker.")
            assert task.name == worker.name.replace("worker.", "task_run.")
            assert by_id[task.parent_span_id].name == f"dag_run.{DAG_ID}"
            assert step.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano
            assert span.end_time_unix_nano <= step.end_time_unix_nano
    assert SECRET not in str(spans)


def whole(spans: list[Any]) -> list[Any] | None:
    """Return the spans once those of runs, tasks and queues are there, which others than the tasks' processes send."""
    made, ids = [span.name for span in spans], {span.span_id for span in spans}
    tasks = sum(name.startswith("task_run.") for name in made)
    has_parents = all(span.parent_span_id in ids for span in spans if span.name.startswith(("worker.", "task_run.")))
    is_whole = made.count(f"dag_run.{DAG_ID}") == 2 and made.count("cwl.queued") >= tasks >= 16
    return spans if is_whole and has_parents else None


def test_waiting_in_the_queue_is_below_the_span_of_the_task(watched: Server, seen: Collector) -> None:
    spans = wait_for(lambda: whole(seen.spans()), 60, "the spans of the runs")
    by_id = {span.span_id: span for span in spans}
    queued = [span for span in spans if span.name == "cwl.queued"]
    for span in queued:
        task = by_id[span.parent_span_id]
        assert task.name.startswith("task_run.")
        assert task.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano


def test_a_step_that_failed_has_a_span_that_says_so(watched: Server, seen: Collector) -> None:
    steps = [span for span in seen.spans() if span.name == "cwl.step finish"]
    assert sorted(span.status.code for span in steps) == [0, 2]


def test_metrics_come_from_the_process_where_they_happen(watched: Server, seen: Collector) -> None:
    with watched.client() as client:
        client.post(f"/cwl/api/v1/workflows/{DAG_ID}/runs/{BAD}/stop").raise_for_status()
    wanted = {metric.name for metric in stats.METRICS} - {"cwl.compile.failures", "cwl.stop.failures"}
    sent = wait_for(lambda: found if (found := sent_metrics(seen)) >= wanted else None, 60, f"the metrics {wanted}")
    assert "cwl.element.duration" in sent


def sent_metrics(seen: Collector) -> set[str]:
    return {name.removeprefix("airflow.") for name in seen.metric_names()}


def test_prometheus_gets_its_page_and_nobody_else(watched: Server) -> None:
    url = f"{watched.url}/cwl/metrics"
    text = httpx.get(url, headers={"Authorization": f"Bearer {TOKEN}"}, trust_env=False).text
    assert 'cwl_runs_ended_last_hour{state="failed"} 1.0' in text
    assert 'cwl_loop_held{loop="reports"} 1.0' in text
    assert "cwl_janitors 1.0" in text
    assert "1.0" not in {line.rpartition(" ")[2] for line in text.splitlines() if line.startswith("cwl_scrape_errors")}
    assert httpx.get(url, trust_env=False).status_code == 401
    log = watched.home.with_suffix(".log").read_text()
    logs = "".join(path.read_text(errors="replace") for path in (watched.home / "logs").rglob("*.log"))
    assert TOKEN not in log + logs


def test_all_is_well_with_a_server_that_runs(watched: Server) -> None:
    with watched.client() as client:
        told = client.get("/cwl/api/v1/health").json()
    assert {check["name"]: check["message"] for check in told["checks"] if check["status"] != "ok"} == {}
    assert told["status"] == "ok"
