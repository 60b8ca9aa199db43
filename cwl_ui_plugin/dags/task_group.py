"""A workflow inside of a Dag that somebody wrote: its steps as a group of tasks between others."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import TaskGroup
from airflow.sdk.definitions.taskgroup import MappedTaskGroup

from cwl_ui_plugin.dags import names
from cwl_ui_plugin.dags.errors import DagFileError
from cwl_ui_plugin.dags.operators import Document
from cwl_ui_plugin.dags.part_jobs import check_in_file
from cwl_ui_plugin.dags.parts import Part, checked_roots, named_document
from cwl_ui_plugin.dags.tasks import add_group_tasks

if TYPE_CHECKING:
    from airflow.sdk import XComArg

_ARGUMENTS = inspect.signature(TaskGroup).parameters
"""Groups of Airflow 3.2 have no ``doc_md``."""
_NOT_IN_MAPPED = (
    "CWLTaskGroup {!r} is in a mapped task group, where no workflow can be: Airflow has no mapped tasks inside of "
    "these, which scatters are. Map a CwlToolOperator or a CwlRunOperator over the jobs instead."
)


class CWLTaskGroup(TaskGroup):
    """A CWL document whose steps are tasks of a Dag that is not CWL's alone.

    ``CWLTaskGroup("count", workflow="count.cwl", job={"text": download.output})`` reads the document relative to the
    Dag file, or takes an uploaded workflow by ``workflow_dag_id`` (and ``version``, a digest; else the current one).
    Values of ``job`` may be outputs of other tasks, which then come before the group, and templates. A text is a path
    where the document takes a File or a Directory. The tasks are called ``<group_id>.<step>``; ``output`` is the CWL
    output object, ``output["x"]`` one output.

    Files may be in folders that everybody's inputs may come from, among the outputs of the same run, and in
    ``input_roots``, which the author of the Dag answers for. ``trigger_rule`` is the first task's. All other arguments
    are those of :class:`airflow.sdk.TaskGroup`.

    Raises:
        DagFileError: the job does not fit the inputs, or the group can't be where it is.
        DocumentError: the document can't be used. Airflow shows both as an import error.

    """

    def __init__(
        self,
        group_id: str,
        workflow: str | Path | None = None,
        *,
        workflow_dag_id: str | None = None,
        version: str | None = None,
        job: object = None,
        input_roots: Iterable[str | Path] = (),
        trigger_rule: str = "all_success",
        **kwargs: Any,
    ) -> None:
        if "prefix_group_id" in kwargs:
            raise DagFileError("The tasks of a CWLTaskGroup always have its group_id before their names.")
        found = named_document(workflow, workflow_dag_id, version)
        plan, given = found.plan, {} if job is None else job
        check_in_file(plan, given, f"CWLTaskGroup {group_id!r}")
        described = {"tooltip": plan.label or "", "doc_md": plan.doc}
        settings = {**{name: text for name, text in described.items() if name in _ARGUMENTS}, **kwargs}
        super().__init__(group_id=group_id, **settings)
        self._check_place()
        self.version = found
        part = Part(
            name=str(self.group_id),
            version=found.revision,
            begin=f"{self.group_id}.{names.DISPATCHER}",
            input_roots=checked_roots(input_roots),
            workflow_dag_id=workflow_dag_id or "",
        )
        document = Document.of(found)
        self._last = add_group_tasks(self, plan, document, part, given, trigger_rule)

    @property
    def output(self) -> XComArg:
        """The CWL output object, as an XCom of the last task; ``output["x"]`` is one of the outputs."""
        return self._last.output

    def _check_place(self) -> None:
        group = self.parent_group
        while group is not None:
            if isinstance(group, MappedTaskGroup):
                raise DagFileError(_NOT_IN_MAPPED.format(self.group_id))
            group = group.parent_group
