"""Spans of a step below Airflow's span of its task: what was staged, which commands ran, what was collected.

The engine knows nothing of OpenTelemetry: spans are made of what it has noted, when the task ends. Nothing is imported
for that. Airflow has OpenTelemetry loaded in a task, and a span that is recorded where ``[traces] otel_on`` is set.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Protocol

from cwl_ui_plugin.cwl.observed import Observed, Phase
from cwl_ui_plugin.cwl.plan import Step

TRACER = "cwl_ui_plugin"
STEP_SPAN = "cwl.step"
QUEUED_SPAN = "cwl.queued"
_TRACE = "opentelemetry.trace"
_PROPAGATION = "opentelemetry.trace.propagation.tracecontext"
_NANOSECONDS = 1_000_000_000


def now() -> float:
    """Return the time that :func:`of_step` takes as a beginning."""
    return time.time()


def of_step(step: Step, seen: Observed, began: float, failure: BaseException | None) -> None:
    """Make the spans of a step that began at ``began`` (seconds since 1970) and ends now."""
    trace = sys.modules.get(_TRACE)
    if trace is None or not trace.get_current_span().is_recording():
        return
    tracer = trace.get_tracer(TRACER)
    span = tracer.start_span(
        f"{STEP_SPAN} {step.id}", start_time=_nanoseconds(began), attributes=_attributes(step, seen)
    )
    if failure is not None:
        span.set_status(trace.Status(trace.StatusCode.ERROR, type(failure).__name__))  # its text may be anything
    below = trace.set_span_in_context(span)
    for phase in seen.phases:
        _of_phase(tracer, below, phase)
    span.end()


def are_wanted() -> bool:
    """Whether Airflow has somebody to send spans to."""
    from airflow.configuration import conf

    return bool(conf.getboolean("traces", "otel_on", fallback=False))


def of_queue(carrier: dict[str, str], attributes: Mapping[str, object], queued: float, started: float) -> None:
    """Make the span of a task's waiting in a queue, below Airflow's span of the task that ``carrier`` tells of."""
    trace, propagation = sys.modules.get(_TRACE), sys.modules.get(_PROPAGATION)
    if trace is None or propagation is None:
        return
    parent = propagation.TraceContextTextMapPropagator().extract(carrier)
    if not trace.get_current_span(parent).get_span_context().trace_flags.sampled:
        return
    tracer = trace.get_tracer(TRACER)
    span = tracer.start_span(QUEUED_SPAN, context=parent, start_time=_nanoseconds(queued), attributes=attributes)
    span.end(_nanoseconds(max(queued, started)))


class _Span(Protocol):
    def end(self, end_time: int) -> None: ...


class _Tracer(Protocol):
    """What is used of OpenTelemetry's tracer, which is there only where Airflow has it."""

    def start_span(self, name: str, *, context: object, start_time: int, attributes: Mapping[str, object]) -> _Span: ...


def _of_phase(tracer: _Tracer, context: object, phase: Phase) -> None:
    attributes = {"cwl.element": phase.element} if phase.element else {}
    span = tracer.start_span(
        f"cwl.{phase.name}", context=context, start_time=_nanoseconds(phase.began), attributes=attributes
    )
    span.end(_nanoseconds(phase.began + phase.seconds))


def _attributes(step: Step, seen: Observed) -> dict[str, object]:
    told = {
        "cwl.step": step.id,
        "cwl.tool": step.tool_name,
        "cwl.tool.class": step.tool,
        "cwl.container": step.container,
        "cwl.commands": len(seen.command_seconds),
        "cwl.reused": seen.reused,
    }
    return {name: value for name, value in told.items() if value is not None}


def _nanoseconds(seconds: float) -> int:
    return int(seconds * _NANOSECONDS)
