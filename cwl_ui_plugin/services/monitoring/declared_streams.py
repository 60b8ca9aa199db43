"""Which output of a tool takes what its command prints: ``stdout: counts.txt`` sends it to a file, not to the log."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from cwl_ui_plugin.cwl.plan import END_DOCUMENT, CwlObject, Step, step_document_text
from cwl_ui_plugin.library.versions import StoredVersion
from cwl_ui_plugin.services.run_models import RunDetail
from cwl_ui_plugin.services.workflows.details import stored_version

STREAMS = ("stdout", "stderr")
_DRAWN_NAME = re.compile(r"[0-9a-f]{40}")
"""What cwltool calls a file that the tool gives no name."""


@dataclass(frozen=True)
class DeclaredStream:
    """A stream goes to the file ``name`` (empty where only cwltool knows it), which is the ``output`` of the tool.

    ``delivered`` is the output of the workflow that it is delivered as, ``path`` where that is among those of the run.
    """

    name: str
    output: str | None
    delivered: str | None = None
    path: str | None = None


def declared(run: RunDetail, task_id: str) -> dict[str, DeclaredStream]:
    """Return which streams of a step go to files, by ``stdout`` and ``stderr``; nothing where its document is gone."""
    version = stored_version(run.summary.dag_id, run.version) if run.version else None
    steps = version.plan.all_steps() if version else ()
    step = next((step for _depth, step in steps if step.task_id == task_id), None)
    if version is None or step is None:
        return {}
    try:
        return dict(_declared(run, version, step))
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}  # of an earlier format, or spoilt: nothing is known then


def _declared(run: RunDetail, version: StoredVersion, step: Step) -> Iterator[tuple[str, DeclaredStream]]:
    tool = _tool(json.loads(step_document_text(version.compiled, step.document)))
    for stream in STREAMS:
        name = tool.get(stream)
        if not isinstance(name, str) or tool.get("class") != "CommandLineTool":
            continue
        output = _output_of(tool, name)
        delivered = _delivered(version, step, output) if output else None
        shown = "" if _DRAWN_NAME.fullmatch(name) or "$" in name else name
        yield stream, DeclaredStream(shown, output, delivered, _path(run, delivered))


def _tool(document: CwlObject) -> CwlObject:
    found = document["wf"]["steps"][0]["run"] if "wf" in document else document["tool"]
    return found if isinstance(found, dict) else {}


def _output_of(tool: CwlObject, name: str) -> str | None:
    """Return the output that takes the file as it is; another may be a value that is read from it."""
    taking = [output for output in tool["outputs"] if (output.get("outputBinding") or {}).get("glob") == name]
    whole = [output for output in taking if "outputEval" not in output["outputBinding"]]
    return _short((whole or taking)[0]["id"]) if taking else None


def _delivered(version: StoredVersion, step: Step, output: str) -> str | None:
    """Return the output of the workflow that hands on an output of a step as it is."""
    if version.plan.is_tool:
        return output
    made = [name for name in step.outputs if _short(name) == output]
    for item in json.loads(step_document_text(version.compiled, END_DOCUMENT))["wf"]["outputs"]:
        source = item.get("outputSource")
        if made and source in (made[0], [made[0]]):
            return _short(item["id"])
    return None


def _path(run: RunDetail, delivered: str | None) -> str | None:
    """Return where a delivered file is among the outputs of the run."""
    found = (run.outputs or {}).get(delivered) if delivered else None
    is_file = isinstance(found, dict) and found.get("class") == "File"
    return str(found["basename"]) if is_file and isinstance(found, dict) and "basename" in found else None


def _short(name: str) -> str:
    return re.split(r"[#/]", name)[-1]
