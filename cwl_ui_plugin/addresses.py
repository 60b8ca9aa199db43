"""Every address of the plugin, and of the pages of Airflow that it leads to: paths on Airflow's API server.

``views/addresses.py`` adds the prefix that Airflow is served below. Scripts get theirs from the page that they run in.
"""

from __future__ import annotations

from urllib.parse import quote

PLUGIN = "/cwl"
"""Where the plugin's FastAPI app is mounted."""
REST_BELOW = "/api/v1"
"""The REST API inside of that app."""
REST = PLUGIN + REST_BELOW
REST_DOCS = f"{REST}/docs"
HEALTH = f"{REST}/health"
WORKFLOWS = f"{REST}/workflows"
INPUTS = f"{REST}/inputs"
INPUT_PARTS = f"{INPUTS}/parts"
INPUT_FOLDERS = f"{INPUTS}/browse"
TRIGGERS = "/api/experimental"
"""Where the predecessors' endpoint is mounted."""
TRIGGER_BELOW = "/dags/{dag_id}/dag_runs"
"""The one route of it."""

PAGES = "/cwl"
"""What all pages are below, inside of the Flask app that serves them."""
STATIC = f"{PAGES}/static"
AIRFLOW_MOUNT = "/pluginsv2"
"""Where Airflow mounts the Flask app that it makes for plugins."""
OWN_MOUNT = "/cwl/pages"
"""Where the plugin mounts one of its own for an Airflow that makes none; see ``views/mounting.py``."""
MOUNTS = (AIRFLOW_MOUNT, OWN_MOUNT)

RUN_TAB = "cwl_run"
"""The tab on Airflow's page of a run."""


def is_below(path: str, *prefixes: str) -> bool:
    """Whether a path is one of these prefixes, or below one."""
    return any(path == prefix or path.startswith(f"{prefix}/") for prefix in prefixes)


def part(name: str) -> str:
    """Return a name as one part of a path, whatever is in it."""
    return quote(name, safe="")


def run(dag_id: str, run_id: str) -> str:
    """Return the address of a run in the REST API."""
    return f"{WORKFLOWS}/{part(dag_id)}/runs/{part(run_id)}"


def output_file(dag_id: str, run_id: str, path: str) -> str:
    """Return the address of a file among a run's outputs."""
    return f"{run(dag_id, run_id)}/files/{quote(path)}"


def outputs_zip(dag_id: str, run_id: str, folder: str | None = None) -> str:
    """Return the address of all outputs of a run as a zip, or of a folder among them."""
    query = f"?path={part(folder)}" if folder is not None else ""
    return f"{run(dag_id, run_id)}/zip{query}"


def log(dag_id: str, run_id: str, task_id: str, map_index: int, try_number: int, stream: str) -> str:
    """Return the address of everything that a try of a task has printed."""
    return f"{run(dag_id, run_id)}/logs/{part(task_id)}/{map_index}/{try_number}/{part(stream)}"


def trigger(dag_id: str) -> str:
    """Return the predecessors' address for triggering a run."""
    return TRIGGERS + TRIGGER_BELOW.format(dag_id=part(dag_id))


def workflow_page(dag_id: str, mount: str = AIRFLOW_MOUNT) -> str:
    """Return the address of the page of a workflow; what is below Airflow's mount is found also below our own."""
    return f"{mount}{PAGES}/workflows/{part(dag_id)}"


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
