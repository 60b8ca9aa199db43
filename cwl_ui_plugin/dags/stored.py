"""What the generated Dag files of the bundle call."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cwl_ui_plugin.dags.dag import CWLDAG
from cwl_ui_plugin.library.recompile import usable
from cwl_ui_plugin.library.store import WorkflowStore
from cwl_ui_plugin.library.versions import StoredVersion


def stored_dag(dag_id: str, revision: str, *, store: str) -> CWLDAG:
    """Make the Dag of one revision of a stored workflow. Reads its plan, nothing else, if there is one."""
    version = usable(WorkflowStore(Path(store)).pinned(dag_id, revision))
    return CWLDAG(dag_id, version=version, **_scheduling(version))


def _scheduling(version: StoredVersion) -> dict[str, Any]:
    if version.schedule is None:  # as most; nothing is imported for it
        return {}
    from cwl_ui_plugin.dags.scheduling import dag_arguments

    return dag_arguments(version)
