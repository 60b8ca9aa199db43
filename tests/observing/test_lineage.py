"""What OpenLineage is told of a task, and that this has its bounds and no secrets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from support.lineage_schema import problems

from cwl_ui_plugin.cwl.plan import Plan, Step
from cwl_ui_plugin.observing import listeners
from cwl_ui_plugin.observing.lineage import datasets
from cwl_ui_plugin.observing.lineage.datasets import MAX_DATASETS, datasets_of
from cwl_ui_plugin.observing.lineage.noting import Noted, Subject
from cwl_ui_plugin.observing.lineage.schema_files import schema_file

pytest.importorskip("airflow.providers.openlineage")
DIGEST = "0123456789abcdef" * 2
STEP = Step(
    id="sort",
    full_id="cwl:main.cwl#sort",
    task_id="sort",
    document="step-1",
    tool="CommandLineTool",
    tool_name="sort.cwl",
    container="debian:stable-slim",
    scatter=("cwl:main.cwl#sort/lines",),
)


@pytest.fixture
def subject(tmp_path: Path) -> Subject:
    folder = tmp_path / DIGEST
    (folder / "source").mkdir(parents=True)
    (folder / "source" / "main.cwl").write_text("cwlVersion: v1.2\n")
    plan = Plan("Workflow", "v1.2", "main.cwl", None, None, (), (), (STEP,))
    (folder / "plan.json").write_text(plan.to_json())
    return Subject("the-dag", folder, folder / "source", STEP, is_first=False)


def file(path: str, **more: Any) -> dict[str, Any]:
    return {"class": "File", "location": path, "basename": path.rpartition("/")[2], **more}


def event(found: Any) -> dict[str, Any]:
    """Return an event with what was found, as the provider makes it."""
    from openlineage.client.event_v2 import Job, Run, RunEvent, RunState
    from openlineage.client.serde import Serde

    made = RunEvent(
        eventType=RunState.COMPLETE,
        eventTime="2026-01-02T03:04:05Z",
        run=Run("01941f29-7c00-7c00-8c00-0123456789ab", found.run_facets),
        job=Job("site", "the-dag.sort", found.job_facets),
        inputs=found.inputs,
        outputs=found.outputs,
        producer="https://example.org/airflow",
    )
    return dict(json.loads(Serde.to_json(made)))


@pytest.mark.parametrize(
    ("location", "place"),
    [
        ("file:///data/a%20b.txt", ("file", "/data/a b.txt")),
        ("/data/a.txt", ("file", "/data/a.txt")),
        ("s3://bucket/some/key.txt", ("s3://bucket", "some/key.txt")),
        ("gs://bucket/key", ("gs://bucket", "key")),
        ("https://user:word@example.org:8443/a?X-Amz-Signature=abc", ("https://example.org:8443", "/a")),
        ("_:literal", None),
        ("", None),
    ],
)
def test_a_file_is_named_by_where_it_is(location: str, place: tuple[str, str] | None) -> None:
    found = datasets_of({"cwl:x": [file(location), "success"]})
    assert [(one.namespace, one.name) for one in found.named] == ([place] if place else [])


def test_secondary_files_are_datasets_and_what_is_in_folders_is_not() -> None:
    folder = {"class": "Directory", "location": "file:///d", "listing": [file("file:///d/x")]}
    values = [file("file:///a.bam", secondaryFiles=[file("file:///a.bai")]), folder, file("file:///a.bam")]
    assert [one.name for one in datasets_of(values).named] == ["/a.bam", "/a.bai", "/d"]


def test_a_job_of_many_files_makes_no_large_event(subject: Subject) -> None:
    from cwl_ui_plugin.observing.lineage import events

    many = [
        file(f"file:///data/{'x' * 100}/{number}.txt", checksum=f"sha1${number:040}", size=1)
        for number in range(10_000)
    ]
    found = event(events.at_end(subject, Noted(inputs=many, outputs=many)))
    assert len(json.dumps(found)) < 1_000_000
    assert len(found["inputs"]) == len(found["outputs"]) == MAX_DATASETS
    told = found["run"]["facets"]["cwl_run"]
    assert (told["inputs"], told["inputsNamed"], told["outputs"]) == (10_000, MAX_DATASETS, 10_000)
    assert problems(found) == []


def test_long_names_have_a_bound_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "MAX_CHARACTERS", 1000)
    found = datasets_of([file(f"file:///{'x' * 300}{number}") for number in range(20)])
    assert (len(found.named), found.count) == (3, 20)


def test_an_event_is_as_the_specification_says(subject: Subject) -> None:
    from cwl_ui_plugin.observing.lineage import events

    noted = Noted(
        inputs={"cwl:x": [file("file:///in.txt", size=3, checksum="sha1$00", format="http://edamontology.org/1")]},
        outputs=[file("file:///out.txt", size=5), {"class": "Directory", "location": "file:///folder"}],
        statistics={"command": ["sort", "a b"], "exit_code": 0, "seconds": 1.5, "reused": False},
    )
    found = event(events.at_end(subject, noted))
    assert problems(found) == []
    assert found["job"]["facets"]["cwl_job"]["containerImage"] == "debian:stable-slim"
    assert found["job"]["facets"]["cwl_job"]["scatter"] == ["lines"]
    assert found["job"]["facets"]["sourceCodeLocation"]["version"] == DIGEST
    assert found["run"]["facets"]["cwl_run"]["command"] == "sort 'a b'"
    given, *_ = found["inputs"]
    assert given["facets"]["version"]["datasetVersion"] == given["facets"]["cwl_file"]["checksum"] == "sha1$00"
    assert given["inputFacets"]["inputStatistics"]["size"] == 3
    assert [one["outputFacets"]["outputStatistics"].get("fileCount") for one in found["outputs"]] == [1, None]


def test_the_check_of_events_finds_what_is_wrong(subject: Subject) -> None:
    from cwl_ui_plugin.observing.lineage import events

    found = event(events.at_end(subject, Noted(inputs=[file("file:///a")])))
    found["job"]["facets"]["cwl_job"]["version"] = "no digest"
    found["job"]["facets"]["sourceCodeLocation"].pop("url")
    found["inputs"][0]["inputFacets"]["inputStatistics"]["size"] = "large"
    found["run"]["facets"]["cwl_run"].pop("_producer")
    found["run"].pop("runId")
    assert len(problems(found)) == 6  # runId is both missing and empty


def test_a_failure_tells_its_kind_and_command(subject: Subject) -> None:
    from cwl_ui_plugin.observing.lineage import events

    failure = {"kind": "permanentFail", "exit_code": 3, "command": ["false"], "message": "secret", "stderr": "secret"}
    told = event(events.at_end(subject, Noted(failure=failure)))["run"]["facets"]["cwl_run"]
    assert (told["failure"], told["exitCode"], told["command"]) == ("permanentFail", 3, "false")
    assert "secret" not in json.dumps(told)


def test_only_the_first_task_has_the_source_and_only_if_the_site_wants(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    from cwl_ui_plugin.observing.lineage import events

    first = replace(subject, step=None, is_first=True)
    assert "sourceCode" not in event(events.at_start(subject))["job"]["facets"]
    assert event(events.at_start(first))["job"]["facets"]["sourceCode"]["sourceCode"] == "cwlVersion: v1.2\n"
    monkeypatch.setenv("AIRFLOW__OPENLINEAGE__DISABLE_SOURCE_CODE", "True")
    assert "sourceCode" not in event(events.at_start(first))["job"]["facets"]
    monkeypatch.delenv("AIRFLOW__OPENLINEAGE__DISABLE_SOURCE_CODE")
    (first.source / "main.cwl").write_text("x" * (events.MAX_SOURCE + 1))
    assert "sourceCode" not in event(events.at_start(first))["job"]["facets"]


def test_names_that_are_no_text_can_be_sent(subject: Subject) -> None:
    from cwl_ui_plugin.observing.lineage import events

    noted = Noted(inputs=[file("/data/\udcff.txt")])
    assert json.dumps(event(events.at_end(subject, noted)), ensure_ascii=False).encode()


def test_every_facet_says_where_its_schema_is(monkeypatch: pytest.MonkeyPatch) -> None:
    from cwl_ui_plugin.observing.lineage import facets

    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example.org/prefix/")
    for kind in (facets.CwlJobFacet, facets.CwlRunFacet, facets.CwlFileDatasetFacet):
        url = kind._get_schema()
        assert url.startswith("https://airflow.example.org/prefix/cwl/api/v1/lineage/")
        path = schema_file(urlsplit(url).path.rpartition("/")[2])
        assert path is not None
        assert list(json.loads(path.read_text())["$defs"]) == [kind.__name__]


class Dag:
    """What listeners look at of a Dag."""

    def __init__(self, dag_id: str, *tags: str) -> None:
        self.dag_id, self.tags = dag_id, set(tags)


class Run:
    """What the provider looks at of a run."""

    def __init__(self, dag: Dag, **conf: Any) -> None:
        self.dag, self.dag_id, self.conf = dag, dag.dag_id, conf


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Any:
    from airflow.providers.openlineage.utils import utils

    monkeypatch.setattr(utils.DagRunInfo, "casts", dict(utils.DagRunInfo.casts))
    monkeypatch.setattr(listeners, "_others", set())
    return utils


def test_the_conf_of_a_cwl_run_is_in_no_event(provider: Any) -> None:
    mine, other = Run(Dag("mine", "cwl"), job={"word": "s3cret"}), Run(Dag("other"), day=1)
    unknown = Run(Dag("unknown"), password="s3cret")
    for run in (mine, other):
        listeners.on_dag_run_running(run, "")
    assert provider.DagRunInfo(mine)["conf"] == listeners.LEFT_OUT
    assert provider.DagRunInfo(unknown)["conf"] == listeners.LEFT_OUT
    assert provider.DagRunInfo(other)["conf"] == {"day": 1}


def test_listeners_do_nothing_where_the_provider_is_not_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listeners, "PROVIDER", "not.there")
    monkeypatch.setattr(listeners, "_others", set())
    listeners.on_dag_run_running(Run(Dag("other")), "")
    assert listeners._others == set()
