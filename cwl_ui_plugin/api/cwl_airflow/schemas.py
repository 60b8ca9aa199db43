"""What CWL-Airflow's API takes and answers, for the OpenAPI document; names are those of its own document."""

from __future__ import annotations

from dataclasses import dataclass

from cwl_ui_plugin.services.monitoring.old_states import RUN_STATES, RunState, TaskState


@dataclass(frozen=True)
class OldDag:
    """A Dag and its tasks."""

    dag_id: str
    tasks: list[str]


@dataclass(frozen=True)
class OldDags:
    """Dags."""

    dags: list[OldDag]


@dataclass(frozen=True)
class PostedDag:
    """A workflow that was uploaded; the paths are addresses of this server."""

    dag_id: str
    dag_path: str
    cwl_path: str


@dataclass(frozen=True)
class OldTask:
    """A task of a run."""

    id: str
    state: TaskState


@dataclass(frozen=True)
class DagRunInfo:
    """A run with its tasks."""

    dag_id: str
    run_id: str
    execution_date: str
    start_date: str
    state: RunState
    tasks: list[OldTask]
    progress: int


@dataclass(frozen=True)
class DagRunInfos:
    """Runs."""

    dag_runs: list[DagRunInfo]


@dataclass(frozen=True)
class PostedRun:
    """A run that was started."""

    dag_id: str
    run_id: str
    execution_date: str
    start_date: str
    state: RunState


@dataclass(frozen=True)
class CleanedRun:
    """A run that was stopped, and removed where the caller may do that."""

    dag_id: str
    run_id: str
    message: str
    stopped: list[str]
    removed: bool


def query(name: str, description: str = "", **schema: object) -> dict[str, object]:
    """Return the description of a parameter in the query."""
    return {"name": name, "in": "query", "description": description, "schema": {"type": "string", **schema}}


DAG_ID = query("dag_id", "The name of the workflow")
RUN_ID = query("run_id", "The name of the run")
CONF = query("conf", 'The conf as JSON text: `{"job": {...}}`')
STATE = query("state", "running (queued ones, too), success or failed", enum=list(RUN_STATES))
_FIELDS: dict[str, dict[str, str]] = {
    "dag_id": {"type": "string"},
    "run_id": {"type": "string"},
    "conf": {"description": '`{"job": {...}}`, as JSON text or as an object'},
    "check_payload": {"type": "string", "description": "A JWT over exactly the other fields and exp"},
}
_CONTENT = {"type": "string", "description": "A CWL document, compressed with gzip, in base64"}


def body(*names: str, document: bool = False) -> dict[str, object]:
    """Return the description of a body with these fields, which may as well be in the query."""
    fields = {name: _FIELDS[name] for name in (*names, "check_payload")}
    as_json: dict[str, object] = {"type": "object", "properties": fields}
    if not document:
        return {"required": False, "content": {"application/json": {"schema": as_json}}}
    properties: dict[str, object] = {**fields, "workflow_content": _CONTENT}
    as_json = {"type": "object", "properties": properties}
    file = {"type": "string", "format": "binary", "description": "A CWL document, or a zip"}
    as_form = {"type": "object", "properties": {**properties, "workflow": file}}
    return {
        "required": False,
        "content": {"multipart/form-data": {"schema": as_form}, "application/json": {"schema": as_json}},
    }
