"""Spans and metrics of a task, made of what the engine has noted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from cwl_ui_plugin.cwl import observed
from cwl_ui_plugin.cwl.observed import COLLECTED, RAN, STAGED, Observed, PhaseClock
from cwl_ui_plugin.cwl.plan import Step
from cwl_ui_plugin.observing import spans, stats
from cwl_ui_plugin.observing.steps import watching

STEP = Step("sort", "cwl:x#sort", "sort", "step-1", "CommandLineTool", "sort.cwl", container="debian")


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """Have spans recorded, as Airflow does where they are switched on."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer", lambda name: provider.get_tracer(name))
    with provider.get_tracer("airflow").start_as_current_span("worker.sort"):
        yield exporter
    provider.shutdown()


@pytest.fixture
def emitted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, float, Any]]:
    """What goes to Airflow's Stats: kind, name, value and tags."""
    found: list[tuple[str, str, float, Any]] = []

    class Backend:
        def timing(self, name: str, value: float, tags: Any) -> None:
            found.append(("timing", name, value, tags))

        def incr(self, name: str, count: int, tags: Any) -> None:
            found.append(("incr", name, count, tags))

        def gauge(self, name: str, value: float, tags: Any) -> None:
            found.append(("gauge", name, value, tags))

    monkeypatch.setattr(stats, "_task_stats", Backend)
    monkeypatch.setattr(stats, "_server_stats", Backend)
    return found


def seen() -> Observed:
    made = Observed()
    for began, name in enumerate((STAGED, RAN, COLLECTED)):
        made.note_phase(name, 100.0 + began, 100.5 + began, "element 1")
    return made


def by_name(exporter: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    return {span.name: span for span in exporter.get_finished_spans()}


def test_a_step_has_a_span_for_each_phase_of_its_commands(exported: InMemorySpanExporter) -> None:
    task = trace.get_current_span().get_span_context()
    spans.of_step(STEP, seen(), 99.0, None)
    found = by_name(exported)
    assert found.keys() == {"cwl.step sort", "cwl.staged", "cwl.command", "cwl.collected"}
    step = found.pop("cwl.step sort")
    assert step.parent and step.parent.span_id == task.span_id
    assert step.start_time == 99 * 10**9
    assert step.attributes and step.attributes["cwl.container"] == "debian"
    assert {span.parent.span_id for span in found.values() if span.parent} == {step.context.span_id}
    assert found["cwl.command"].end_time == int(101.5 * 10**9)


def test_a_failure_is_told_without_its_text(exported: InMemorySpanExporter) -> None:
    with pytest.raises(ValueError, match="secret"), watching(STEP, Observed(), "dag", "sort"):
        raise ValueError("secret")
    status = by_name(exported)["cwl.step sort"].status
    assert (status.status_code.name, status.description) == ("ERROR", "ValueError")


def test_a_step_that_is_skipped_has_not_failed(exported: InMemorySpanExporter) -> None:
    with pytest.raises(AirflowSkipException), watching(STEP, Observed(), "dag", "sort"):
        raise AirflowSkipException
    assert by_name(exported)["cwl.step sort"].status.is_unset


def test_no_span_is_made_where_airflow_records_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace, "get_tracer", lambda _name: pytest.fail("a tracer was asked for"))
    spans.of_step(STEP, seen(), 99.0, None)


def test_waiting_in_a_queue_is_below_the_span_of_the_task(exported: InMemorySpanExporter) -> None:
    carrier = {"traceparent": f"00-{'1' * 32}-{'2' * 16}-01"}
    spans.of_queue(carrier, {"airflow.task_id": "sort"}, 10.0, 12.5)
    found = by_name(exported)["cwl.queued"]
    assert found.parent and found.parent.span_id == int("2" * 16, 16)
    assert (found.start_time, found.end_time) == (10 * 10**9, int(12.5 * 10**9))


def test_a_run_that_is_not_sampled_has_no_spans(exported: InMemorySpanExporter) -> None:
    spans.of_queue({"traceparent": f"00-{'1' * 32}-{'2' * 16}-00"}, {}, 10.0, 12.5)
    spans.of_queue({}, {}, 10.0, 12.5)
    assert exported.get_finished_spans() == ()


def test_a_task_emits_the_seconds_of_its_commands_and_what_it_reused(emitted: list[Any]) -> None:
    told = seen()
    told.note_reuse(is_found=True)
    with watching(STEP, told, "the-dag", "sort"):
        pass
    tags = {"dag_id": "the-dag", "task_id": "sort"}
    assert emitted == [("timing", "cwl.element.duration", 500.0, tags), ("incr", "cwl.reuse.hits", 1, tags)]


def test_what_emitting_raises_harms_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Any:
        raise RuntimeError("no backend")

    monkeypatch.setattr(stats, "_server_stats", broken)
    stats.emit("cwl.reports.backlog", 1)


def test_a_compilation_is_timed_or_counted_as_failed(emitted: list[Any]) -> None:
    from cwl_ui_plugin.cwl.errors import DocumentError

    with stats.timed_compilation():
        pass
    with pytest.raises(DocumentError), stats.timed_compilation():
        raise DocumentError("no")
    assert [(kind, name) for kind, name, *_ in emitted] == [
        ("timing", "cwl.compile.duration"),
        ("incr", "cwl.compile.failures"),
    ]


def test_a_task_of_many_elements_keeps_some_phases_and_counts_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observed, "MAX_PHASES", 3)
    made = Observed()
    for _element in range(5):
        clock = PhaseClock(made, None)
        for name in (STAGED, RAN, COLLECTED):
            clock.next(name)
        clock.end()
    assert (len(made.phases), len(made.command_seconds)) == (3, 5)


def test_a_clock_that_goes_back_makes_no_negative_time() -> None:
    assert observed.Phase(RAN, 10.0, 9.0).seconds == 0
