"""Every address of the plugin, and of the pages of Airflow that it leads to: paths on Airflow's API server.

``views/addresses.py`` adds the prefix that Airflow is served below. Scripts get theirs from the page that they run in.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from urllib.parse import quote, urlencode

PLUGIN = "/cwl"
"""Where the plugin's FastAPI app is mounted."""
REST_BELOW = "/api/v1"
"""The REST API inside of that app."""
REST = PLUGIN + REST_BELOW
REST_DOCS = f"{REST}/docs"
HEALTH = f"{REST}/health"
WORKFLOWS = f"{REST}/workflows"
METRICS_BELOW = "/metrics"
"""The page for Prometheus, inside of that app."""
METRICS = PLUGIN + METRICS_BELOW
LINEAGE_SCHEMAS = f"{REST}/lineage"
"""Where the schemas of the plugin's OpenLineage facets are."""
INPUTS = f"{REST}/inputs"
INPUT_PARTS = f"{INPUTS}/parts"
STORED_INPUTS = f"{INPUTS}/stored"
INPUT_FOLDERS = f"{INPUTS}/browse"
IMPORT_BELOW = "/workflows/import"
IMPORTS = REST + IMPORT_BELOW
CRATES_BELOW = "/crates"
CRATES = REST + CRATES_BELOW
TRS = "/ga4gh/trs/v2"
"""Where GA4GH's Tool Registry Service is mounted."""
TRS_OF_CWLTOOL = "/api/ga4gh/v2"
"""Where cwltool looks for it on a server that ``--add-ga4gh-tool-registry`` names."""
SERVICE_BELOW = "/service"
WES = "/ga4gh/wes/v1"
"""Where GA4GH's Workflow Execution Service is mounted."""
WES_RUNS_BELOW = "/runs"
WES_RUNS = WES + WES_RUNS_BELOW
WORKERS = "/cwl/worker/v1"
"""Where workers without common folders tell and ask what the control of their tasks needs."""
TRIGGERS = "/api/experimental"
"""Where the predecessors' endpoint is mounted."""
TRIGGER_BELOW = "/dags/{dag_id}/dag_runs"
"""The one route of it that both predecessors have."""
OLD_DAG_BELOW = "/dags/{dag_id}"
OLD_UPLOADS = tuple(f"{TRIGGERS}/{name}" for name in ("dags", "dags/dag_runs"))
"""The routes of the later one that take workflows."""

PAGES = "/cwl"
"""What all pages are below, inside of the Flask app that serves them."""
STATIC = f"{PAGES}/static"
AIRFLOW_MOUNT = "/pluginsv2"
"""Where Airflow mounts the Flask app that it makes for plugins."""
OWN_MOUNT = "/cwl/pages"
"""Where the plugin mounts one of its own for an Airflow that makes none; see ``views/mounting.py``."""
MOUNTS = (AIRFLOW_MOUNT, OWN_MOUNT)

MAX_JOB_IN_LINK = 8000
"""Most characters of a job in a link; servers refuse addresses that are much longer."""

DAG_TAB = "cwl_workflow"
"""The tab on Airflow's page of a Dag."""
RUN_TAB = "cwl_run"
"""The tab on Airflow's page of a run."""
TASK_TAB = "cwl_step"
"""The tab on Airflow's page of a task instance."""


def is_below(path: str, *prefixes: str) -> bool:
    """Whether a path is one of these prefixes, or below one."""
    return any(path == prefix or path.startswith(f"{prefix}/") for prefix in prefixes)


def part(name: str) -> str:
    """Return a name as one part of a path, whatever is in it."""
    return quote(name, safe="")


def workflow(dag_id: str) -> str:
    """Return the address of a workflow in the REST API."""
    return f"{WORKFLOWS}/{part(dag_id)}"


def run(dag_id: str, run_id: str) -> str:
    """Return the address of a run in the REST API."""
    return f"{workflow(dag_id)}/runs/{part(run_id)}"


def workflow_source(dag_id: str, version: str) -> str:
    """Return the address of the main document of a version of a workflow in the REST API."""
    return f"{WORKFLOWS}/{part(dag_id)}/source?version={part(version)}"


def output_file(dag_id: str, run_id: str, path: str) -> str:
    """Return the address of a file among a run's outputs."""
    return f"{run(dag_id, run_id)}/files/{quote(path)}"


def input_file(dag_id: str, run_id: str, place: Sequence[str], path: str = "") -> str:
    """Return the address of a file of a run's job: its place there, and where it is in a Directory."""
    query = [("place", key) for key in place] + ([("path", path)] if path else [])
    return f"{run(dag_id, run_id)}/input-file?{urlencode(query)}"


def outputs_zip(dag_id: str, run_id: str, folder: str | None = None) -> str:
    """Return the address of all outputs of a run as a zip, or of a folder among them."""
    query = f"?path={part(folder)}" if folder is not None else ""
    return f"{run(dag_id, run_id)}/zip{query}"


def crate(dag_id: str, run_id: str) -> str:
    """Return the address of a run as a research object."""
    return f"{run(dag_id, run_id)}/crate"


def report(dag_id: str, run_id: str) -> str:
    """Return the address of the report of a run, to read and print."""
    return f"{run(dag_id, run_id)}/report"


def log(dag_id: str, run_id: str, task_id: str, map_index: int, try_number: int, stream: str) -> str:
    """Return the address of everything that a try of a task has printed."""
    return f"{run(dag_id, run_id)}/logs/{part(task_id)}/{map_index}/{try_number}/{part(stream)}"


def resources_csv(dag_id: str, run_id: str, runs: int) -> str:
    """Return the address of the report of what a run's steps asked for and used, as a table."""
    return f"{run(dag_id, run_id)}/resources?runs={runs}&format=csv"


def preset_job(dag_id: str, preset_id: str, form: str) -> str:
    """Return the address of the inputs of a preset in the REST API, as a job file: ``form`` is yaml or json."""
    return f"{WORKFLOWS}/{part(dag_id)}/presets/{part(preset_id)}/job?format={form}"


def batch_template(dag_id: str, form: str) -> str:
    """Return the address of a sheet to begin with, in the REST API: ``form`` is csv or xlsx."""
    return f"{WORKFLOWS}/{part(dag_id)}/sample-sheet?format={form}"


def batch_csv(dag_id: str, batch_id: str) -> str:
    """Return the address of the outputs of a batch as a table, in the REST API."""
    return f"{WORKFLOWS}/{part(dag_id)}/batches/{part(batch_id)}/outputs?format=csv"


def batch_zip(dag_id: str, batch_id: str) -> str:
    """Return the address of the output files of a batch, in the REST API."""
    return f"{WORKFLOWS}/{part(dag_id)}/batches/{part(batch_id)}/zip"


def trigger(dag_id: str) -> str:
    """Return the predecessors' address for triggering a run."""
    return TRIGGERS + TRIGGER_BELOW.format(dag_id=part(dag_id))


def workflow_page(dag_id: str, mount: str = AIRFLOW_MOUNT) -> str:
    """Return the address of the page of a workflow; what is below Airflow's mount is found also below our own."""
    return f"{mount}{PAGES}/workflows/{part(dag_id)}"


def run_form(dag_id: str, **query: str) -> str:
    """Return the address of the form that starts a run of a workflow: filled in by its query, ``job`` or ``preset``."""
    return f"{workflow_page(dag_id)}/run?{urlencode(query)}"


def job_in_link(job: Mapping[str, object]) -> str:
    """Return a job as the address of the form has it."""
    return base64.urlsafe_b64encode(json.dumps(job, ensure_ascii=False).encode()).decode().rstrip("=")


def airflow_dag(dag_id: str) -> str:
    """Return Airflow's page of a Dag."""
    return f"/dags/{part(dag_id)}"


def airflow_run(dag_id: str, run_id: str) -> str:
    """Return Airflow's page of a run."""
    return f"{airflow_dag(dag_id)}/runs/{part(run_id)}"


def airflow_run_tab(dag_id: str, run_id: str) -> str:
    """Return Airflow's page of a run with the plugin's tab opened."""
    return f"{airflow_run(dag_id, run_id)}/plugin/{RUN_TAB}"


def airflow_task(dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> str:
    """Return Airflow's page of a task instance."""
    mapped = f"/mapped/{map_index}" if map_index >= 0 else ""
    return f"{airflow_run(dag_id, run_id)}/tasks/{part(task_id)}{mapped}"


def airflow_task_tab(dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> str:
    """Return Airflow's page of a task instance with the plugin's tab opened."""
    return f"{airflow_task(dag_id, run_id, task_id, map_index)}/plugin/{TASK_TAB}"


def airflow_required_actions(dag_id: str, run_id: str, task_id: str) -> str:
    """Return Airflow's page where somebody answers what a task asks."""
    return f"{airflow_task(dag_id, run_id, task_id)}/required_actions"
