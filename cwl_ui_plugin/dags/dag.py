"""From a plan to a Dag: one task per step, between the dispatcher and the gatherer."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, BaseOperator

from cwl_ui_plugin.cwl.plan import Plan, Step
from cwl_ui_plugin.dags import names
from cwl_ui_plugin.dags.operators import CwlDispatchOperator, CwlGatherOperator, CwlStepOperator, Document
from cwl_ui_plugin.library.documents import local_document
from cwl_ui_plugin.library.store import StoredVersion

# A step runs when everything before it succeeded or was skipped: the outputs of a skipped step are null (CWL).
TRIGGER_RULE = "none_failed"
_PACKAGE = str(Path(__file__).parents[1])


class CWLDAG(DAG):
    """A Dag that runs a CWL document.

    In a Dag file, ``CWLDAG(workflow="x.cwl", dag_id="x")`` reads the document (relative to that file), validates and
    compiles it when it is new or was changed, and makes a Dag of it. All other arguments are those of
    :class:`airflow.sdk.DAG`; the defaults differ in that the Dag has no schedule and is not paused.

    Raises:
        DocumentError: the document can't be used; Airflow shows the message as an import error.

    """

    def __init__(
        self,
        dag_id: str,
        workflow: str | Path | None = None,
        *,
        version: StoredVersion | None = None,
        **kwargs: Any,
    ) -> None:
        calling_file = _calling_file()
        found = version or local_document(_resolve(workflow, calling_file), dag_id)
        plan = found.plan
        settings: dict[str, Any] = {
            "schedule": None,
            "catchup": False,
            "is_paused_upon_creation": False,
            "description": plan.label,
            "doc_md": _documentation(plan, found.digest),
            **kwargs,
        }
        settings["tags"] = {names.TAG, *(settings.get("tags") or ())}
        super().__init__(dag_id, **settings)
        self.fileloc = calling_file
        self.version = found
        _add_tasks(self, plan, Document(compiled=found.folder, source=found.source))


def _add_tasks(dag: DAG, plan: Plan, document: Document) -> None:
    common: dict[str, Any] = {"dag": dag, "document": document, "trigger_rule": TRIGGER_RULE}
    dispatcher = CwlDispatchOperator(task_id=names.DISPATCHER, **common)
    tasks: dict[str, BaseOperator] = {}
    for step in plan.steps:
        tasks[step.id] = CwlStepOperator(
            task_id=step.task_id,
            step=step,
            sources=[names.DISPATCHER, *(tasks[upstream].task_id for upstream in step.upstream)],
            task_display_name=step.label or step.task_id,
            doc_md=step.doc,
            **common,
        )
        tasks[step.id].set_upstream([tasks[upstream] for upstream in step.upstream] or dispatcher)
    gatherer = CwlGatherOperator(
        task_id=names.GATHERER,
        sources=[names.DISPATCHER, *(task.task_id for task in tasks.values())],
        **common,
    )
    gatherer.set_upstream([tasks[step.id] for step in _last(plan.steps)] or dispatcher)


def _last(steps: Iterable[Step]) -> list[Step]:
    """Return the steps that no other step reads from."""
    steps = list(steps)
    read = {upstream for step in steps for upstream in step.upstream}
    return [step for step in steps if step.id not in read]


def _documentation(plan: Plan, digest: str) -> str:
    """Text for Airflow's Dag page. It names the version, so that each version is one of Airflow's, too."""
    parts = [f"# {plan.label}" if plan.label else "", plan.doc or ""]
    parts.append(f"CWL {plan.cwl_version} {plan.kind} `{plan.main}`, version `{digest}`")
    return "\n\n".join(part for part in parts if part)


def _calling_file() -> str:
    """Return the Dag file that is being read: the first caller outside of this package."""
    frame = sys._getframe(1)
    while frame.f_back and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
    return frame.f_code.co_filename


def _resolve(workflow: str | Path | None, calling_file: str) -> Path:
    if workflow is None:
        raise TypeError("CWLDAG needs the path of a CWL document: CWLDAG(workflow='x.cwl', dag_id='x').")
    return Path(calling_file).parent / workflow
