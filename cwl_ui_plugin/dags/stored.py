"""What the generated Dag files of the bundle call."""

from __future__ import annotations

from pathlib import Path

from cwl_ui_plugin.dags.dag import CWLDAG
from cwl_ui_plugin.library.recompile import usable
from cwl_ui_plugin.library.store import WorkflowStore


def stored_dag(dag_id: str, revision: str, *, store: str) -> CWLDAG:
    """Make the Dag of one revision of a stored workflow. Reads its plan, nothing else, if there is one."""
    return CWLDAG(dag_id, version=usable(WorkflowStore(Path(store)).pinned(dag_id, revision)))
