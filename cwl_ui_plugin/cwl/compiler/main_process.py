"""Which process of a packed document (``$graph``) is run, where neither the document nor the caller says so.

CWL v1.2, section 3.3 (Packed documents): a runner takes the process with the id ``#main``. Earth-observation packages
and others have none: there it is the one workflow that no other process runs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from urllib.parse import urldefrag

from cwl_ui_plugin.cwl.errors import ChoiceError, DocumentError
from cwl_ui_plugin.cwl.plan import CwlObject

MAX_CHOICES = 100


def main_process(document: Mapping[str, object], path: str) -> str | None:
    """Return the id of the process to run; None where cwltool knows it: one process, or one that is called main.

    Raises:
        ChoiceError: several could be meant; it carries ``<path>#<id>`` of each.
        DocumentError: there is none, or two have one id.

    """
    graph = document.get("$graph")
    if not isinstance(graph, list):
        return None
    if not graph:
        raise DocumentError(f"{path} has nothing in its $graph; there is no process to run.")
    with_ids = [item for item in graph if isinstance(item, dict) and item.get("id")]
    processes = {str(item["id"]).lstrip("#"): item for item in with_ids}
    names = Counter(str(item["id"]).lstrip("#") for item in with_ids)
    if twins := [name for name, count in names.items() if count > 1]:
        raise DocumentError(f"{path} has several processes with the id #{twins[0]}; give each its own.")
    if len(graph) <= 1 or "main" in processes or len(processes) < len(graph):
        return None
    used = {name for process in processes.values() for name in _runs(process)}
    workflows = [name for name, item in processes.items() if item.get("class") == "Workflow"]
    free = [name for name in workflows if name not in used]
    if len(free) == 1:
        return free[0]
    choices = free or workflows or [name for name in processes if name not in used] or list(processes)
    named = ", ".join(f"#{name}" for name in choices[:MAX_CHOICES])
    raise ChoiceError(
        f"{path} holds several processes and none is called main. Choose the one to run: {named}.",
        choices=tuple(f"{path}#{name}" for name in choices[:MAX_CHOICES]),
    )


def _runs(process: CwlObject) -> Iterator[str]:
    """Yield the ids in the same document that the steps of a process run, however deep they are embedded."""
    steps = process.get("steps") or []
    for step in steps.values() if isinstance(steps, dict) else steps:
        run = step.get("run") if isinstance(step, dict) else None
        if isinstance(run, str):
            yield urldefrag(run)[1] or run
        elif isinstance(run, dict):
            yield from _runs(run)
