"""What receivers of the predecessors take, field by field: anything else is refused, with the reason."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import jsonschema

TEXT = {"type": "string"}
NAME = {"type": "string", "minLength": 1}
SECONDS = {"type": "number", "minimum": 0}
KILOBYTES = {"type": "integer", "minimum": 0}
PERCENT = {"type": "integer", "minimum": 0, "maximum": 100}
RUN_STATE = {"enum": ["running", "success", "failed"]}
TASK_STATE = {"enum": ["running", "success", "failed", "up_for_retry", "skipped", "upstream_failed"]}
RUN = {"dag_id": NAME, "run_id": NAME}


def exactly(**fields: Any) -> dict[str, Any]:
    """An object with these fields, all of them, and no others."""
    return {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}


def by_name(value: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": value}


_TOTAL = exactly(tmp_folder_size=KILOBYTES, outputs_folder_size=KILOBYTES, start_date=NAME, end_date=SECONDS)
_STEP = exactly(tmp_folder_size=KILOBYTES, start_date=SECONDS, end_date=SECONDS)
STATISTICS = exactly(version={"const": "1.0"}, total=_TOTAL, steps=by_name(_STEP))
_FILES = {"type": "object", "properties": {"airflow": NAME, "cwl": NAME}, "additionalProperties": False}
LOGS = exactly(failed_steps=by_name(_FILES), previous_steps=by_name(_FILES))
EMPTY = {"const": ""}

STATUS = exactly(state=TASK_STATE, task_id=NAME, **RUN)
RESULTS = exactly(results={"type": "object"}, **RUN)
PARSER = {
    "progress": exactly(state=RUN_STATE, progress=PERCENT, error=TEXT, **RUN),
    "status": STATUS,
    "results": exactly(results={"anyOf": [{"type": "object"}, EMPTY]}, **RUN),
}
CWL_AIRFLOW = {
    "airflow/progress": exactly(
        state=RUN_STATE,
        progress=PERCENT,
        error=TEXT,
        statistics={"anyOf": [STATISTICS, EMPTY]},
        logs={"anyOf": [LOGS, EMPTY]},
        **RUN,
    ),
    "airflow/status": STATUS,
    "airflow/results": RESULTS,
}


def check(accepted: dict[str, dict[str, Any]], route: str, payload: dict[str, Any]) -> None:
    """Raise if a receiver of this generation could not take a report."""
    assert route in accepted, f"there is no route {route}"
    jsonschema.validate(payload, accepted[route])
    if "progress" not in payload:
        return
    is_over = payload["state"] != "running"
    assert bool(payload["error"]) == (payload["state"] == "failed")
    if accepted is CWL_AIRFLOW:
        if not is_over:
            assert (payload["statistics"], payload["logs"]) == ("", "")
        assert bool(payload["logs"]) == (payload["state"] == "failed")
        if payload["statistics"]:
            assert datetime.fromisoformat(payload["statistics"]["total"]["start_date"]).tzinfo


def strict(accepted: dict[str, dict[str, Any]], endpoint: str) -> Any:
    """Make what ``support.receiver.Receiver.checks`` expects."""

    def checks(path: str, payload: dict[str, Any]) -> None:
        check(accepted, path.removeprefix(f"/{endpoint}/" if endpoint else "/"), payload)

    return checks
