"""The formats of reports: ours, and those that receivers of the predecessors expect, field by field."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from cwl_ui_plugin.dags.names import CLEAN_DAG_RUN
from cwl_ui_plugin.reports.errors import BadTarget

if TYPE_CHECKING:
    from cwl_ui_plugin.reports.due import Report

OURS, PARSER, CWL_AIRFLOW = "cwl-ui-plugin", "1.0", "1.2"
FORMATS = (OURS, PARSER, CWL_AIRFLOW)
"""The values of ``format`` in the extra of the Connection: ours, cwl-airflow-parser 1.0, CWL-Airflow 1.2."""
_ALIASES = {"": OURS, "parser": PARSER}
_PREFIXES = {CWL_AIRFLOW: "airflow/"}
_FIELDS = {
    "progress": ("state", "dag_id", "run_id", "progress", "error"),
    "status": ("state", "dag_id", "run_id", "task_id"),
    "results": ("dag_id", "run_id", "results"),
}
_FIELDS_OF_1_2 = {**_FIELDS, "progress": ("state", "dag_id", "run_id", "progress", "statistics", "error", "logs")}
_OPEN = "for_predecessors"
"""Stands in a report that was recorded while nobody knew the format: what :func:`settled` needs."""


def format_named(value: object) -> str:
    """Return the format that an extra names; raise :class:`BadTarget` where there is none of that name."""
    text = str(value if value is not None else "").strip()
    name = _ALIASES.get(text, text)
    if name not in FORMATS:
        raise BadTarget(
            f'"format" in the extra: there is no {text[:50]!r}; the formats are {", ".join(FORMATS)}. Reports wait.',
            "format",
        )
    return name


def kind_of(route: str) -> str:
    """Return the kind of a report, ``progress``, ``status`` or ``results``, from where its format has it sent."""
    return route.rpartition("/")[2]


def build(report: Report, name: str | None, *, report_id: str, sequence: int) -> tuple[str, dict[str, object]] | None:
    """Return the route and the payload of a report in a format, None where that has nothing to tell.

    A name that is None is for a format that is not known yet: see :func:`settled`.
    """
    ours = {**report.payload, "report_id": report_id, "sequence": sequence}
    if name is None:
        return report.route, {**ours, _OPEN: report.predecessors}
    if name == OURS:
        return report.route, ours
    if report.predecessors is None:
        return None
    return _PREFIXES.get(name, "") + report.route, _BUILDERS[name](report.route, ours, report.predecessors)


def settled(route: str, payload: str, name: str) -> tuple[str, str]:
    """Return route and JSON of a recorded report as they are sent: it may be from before the format was known.

    The state of a scattered step is then told for each of its elements.
    """
    if f'"{_OPEN}"' not in payload:
        return route, payload
    ours: dict[str, Any] = json.loads(payload)
    if _OPEN not in ours:
        return route, payload
    told = ours.pop(_OPEN) or {}
    if name == OURS:
        return route, json.dumps(ours)
    return _PREFIXES.get(name, "") + route, json.dumps(_BUILDERS[name](route, ours, told))


def shown(payload: dict[str, object]) -> dict[str, object]:
    """Return a recorded report without what only :func:`settled` needs."""
    return {key: value for key, value in payload.items() if key != _OPEN}


def _of_parser(kind: str, ours: Mapping[str, object], told: Mapping[str, object]) -> dict[str, object]:
    values = {**ours, **{key: value for key, value in told.items() if key in ("state", "progress", "results")}}
    if kind == "results" and ours["dag_id"] == CLEAN_DAG_RUN:
        values["results"] = ""  # what it sent where no task had results
    return {field: values[field] for field in _FIELDS[kind]}


def _of_1_2(kind: str, ours: Mapping[str, object], told: Mapping[str, object]) -> dict[str, object]:
    values = {"statistics": "", "logs": "", **ours, **told}
    return {field: values[field] for field in _FIELDS_OF_1_2[kind]}


_BUILDERS: dict[str, Callable[[str, Mapping[str, object], Mapping[str, object]], dict[str, object]]] = {
    PARSER: _of_parser,
    CWL_AIRFLOW: _of_1_2,
}
