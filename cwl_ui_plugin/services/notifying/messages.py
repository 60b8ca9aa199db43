"""What is told: a subject of one line, a text, and the same as HTML. Names and errors in it are hostile."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from html import escape

from cwl_ui_plugin import addresses
from cwl_ui_plugin.services.errors import ServiceError
from cwl_ui_plugin.services.monitoring import queries
from cwl_ui_plugin.services.run_models import RunDetail, ShownState

MAX_LINE, MAX_ERROR = 200, 1000
_PAGES = addresses.AIRFLOW_MOUNT + addresses.PAGES
"""Found in every set-up: where the plugin serves the pages itself, it leads there from here."""
STATE_TEXTS: dict[ShownState, str] = {
    "success": "succeeded",
    "failed": "failed",
    "stopped": "was stopped",
    "waiting": "waits for approval",
    "running": "runs",
    "queued": "is queued",
}

_WORST: tuple[ShownState, ...] = ("failed", "waiting", "stopped", "success", "running", "queued")


@dataclass(frozen=True)
class Message:
    """What notifiers get as ``cwl.*``: texts, each safe where it belongs, none of them a template."""

    subject: str
    text: str
    html: str
    link: str
    state: str
    workflow: str
    run: str
    error: str

    def told_to(self, address: str) -> dict[str, str]:
        """Return the values of the template."""
        return {**asdict(self), "address": address}


def of_run(dag_id: str, run_id: str, state: ShownState) -> Message:
    """Return what is told of a run that has come to a state; less of one that is gone meanwhile."""
    try:
        run: RunDetail | None = queries.get_run(dag_id, run_id)
    except ServiceError:
        run = None
    name = one_line((run.summary.title if run else None) or run_id)
    workflow, words = one_line(dag_id), STATE_TEXTS[state]
    error = _first_error(run) if state == "failed" else ""
    lines = [f"The run {name} of {workflow} {words}."]
    if run and state == "stopped" and run.summary.stopped_by:
        lines.append(f"Stopped by {one_line(run.summary.stopped_by)}.")
    return _message(f"{workflow}: {name} {words}", lines, error, run_link(dag_id, run_id), state, workflow, name)


def of_many(dag_id: str, states: Sequence[ShownState]) -> tuple[str, str, ShownState]:
    """Return what is told of many runs of a workflow at once: a subject, a text, and the worst state of them."""
    workflow = one_line(dag_id)
    counts = ", ".join(f"{states.count(state)} {words}" for state, words in STATE_TEXTS.items() if state in states)
    return f"{workflow}: {counts}", f"{len(states)} runs of {workflow}: {counts}.", min(states, key=_WORST.index)


def of_stored(dag_id: str, subject: str, text: str, state: ShownState, batch_id: str | None = None) -> Message:
    """Return what was written down to be told of several runs, which may be those of a batch."""
    link = f"{_base()}{_PAGES}/runs?dag_id={addresses.part(dag_id)}"
    if batch_id:
        link = f"{_base()}{addresses.workflow_page(dag_id)}/batches/{addresses.part(batch_id)}"
    return _message(subject, [text], "", link, state, one_line(dag_id), "")


def of_test(user: str) -> Message:
    """Return the message that somebody asks for to see that a channel works."""
    link = f"{_base()}{_PAGES}/notifications"
    lines = [f"{one_line(user)} has asked for this message, to see whether it arrives."]
    return _message("A test message of CWL on Airflow", lines, "", link, "success", "", "")


def run_link(dag_id: str, run_id: str) -> str:
    """Return the address of a run for somebody outside of the pages."""
    return f"{_base()}{addresses.airflow_run_tab(dag_id, run_id)}"


def one_line(text: str) -> str:
    """Return a text as a part of one line: no line breaks, no controls, nothing that turns its direction around."""
    return _cleaned(" ".join(text.split()), MAX_LINE)


def _message(
    subject: str, lines: list[str], error: str, link: str, state: ShownState, workflow: str, run: str
) -> Message:
    parts = [*lines, *([error] if error else []), link]
    paragraphs = [f"<p>{escape(line)}</p>" for line in lines]
    if error:
        paragraphs.append(f"<pre>{escape(error)}</pre>")
    paragraphs.append(f'<p><a href="{escape(link)}">{escape(link)}</a></p>')
    text, html = "\n\n".join(parts), "\n".join(paragraphs)
    return Message(one_line(subject), text, html, link, state, workflow, run, error)


def _first_error(run: RunDetail | None) -> str:
    if run is None:
        return ""
    failed = [step for step in run.steps if step.state == "failed" and step.error]
    first = min(failed, key=lambda step: step.ended_at or "", default=None)
    return _cleaned((first.error if first else None) or run.error or "", MAX_ERROR)


def _cleaned(text: str, limit: int) -> str:
    kept = "".join(
        character
        for character in text
        if character == "\n" or unicodedata.category(character) not in ("Cc", "Cf", "Cs")
    )
    return kept if len(kept) <= limit else f"{kept[: limit - 1]}…"


def _base() -> str:
    from airflow.configuration import conf

    return str(conf.get("api", "base_url", fallback="")).rstrip("/")
