"""What the generated Dag files of the bundle call."""

from __future__ import annotations

from pathlib import Path

from cwl_ui_plugin.dags.dag import CWLDAG
from cwl_ui_plugin.library.store import WorkflowStore


def stored_dag(dag_id: str, digest: str, *, store: str) -> CWLDAG:
    """Make the Dag of one version of a stored workflow. Reads its plan, nothing else."""
    return CWLDAG(dag_id, version=WorkflowStore(Path(store)).version(dag_id, digest))
