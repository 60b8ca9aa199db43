"""A whole document as one task of a Dag that somebody wrote."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cwl_ui_plugin import config
from cwl_ui_plugin.cwl.plan import Step, read_plan
from cwl_ui_plugin.dags import part_jobs
from cwl_ui_plugin.dags.operators.base import CwlOperator, Document
from cwl_ui_plugin.dags.operators.ends import destination_of, hold
from cwl_ui_plugin.dags.operators.steps import log_command_output
from cwl_ui_plugin.dags.parts import Part, checked_roots, named_document
from cwl_ui_plugin.dags.resources import ExecutorRules

if TYPE_CHECKING:
    from airflow.sdk import DAG, Context

    from cwl_ui_plugin.cwl.engine.run_settings import RunSettings
    from cwl_ui_plugin.dags.folders.run_folder import TaskTry
    from cwl_ui_plugin.library.versions import StoredVersion


class CwlToolOperator(CwlOperator):
    """A CWL document as one task: a tool, or a workflow whose steps run one after the other.

    ``CwlToolOperator(task_id="count", tool="count.cwl", job={"text": download.output})`` reads the document relative to
    the Dag file, or takes an uploaded one by ``workflow_dag_id`` (and ``version``, a digest; else the current one).
    ``job`` is templated, and may have outputs of other tasks. Returns the CWL output object; each output is an XCom of
    its own, too. Pool, queue and resources of a tool are what its ResourceRequirement asks for, unless they are given.

    Raises:
        DagFileError: the job does not fit the inputs.
        DocumentError: the document can't be used. Airflow shows both as an import error.

    """

    template_fields: Sequence[str] = ("job",)
    ui_color = "#f4f0fa"

    def __init__(
        self,
        *,
        tool: str | Path | None = None,
        workflow_dag_id: str | None = None,
        version: str | None = None,
        job: object = None,
        input_roots: Iterable[str | Path] = (),
        **kwargs: Any,
    ) -> None:
        is_mapped = getattr(self, "_BaseOperator__from_mapped", False)  # then a worker makes it, as no Dag file does
        dag = kwargs.get("dag")
        found = named_document(tool, workflow_dag_id, version, dag.fileloc if dag and is_mapped else None)
        document = Document.of(found)
        known = part_jobs.known_values(found.plan, job)
        settings = {"multiple_outputs": True, **_task_arguments(found, known, dag), **kwargs}
        super().__init__(document=document, **settings)
        self.job = {} if job is None else job
        self.input_roots = checked_roots(input_roots)
        self.part = Part(name=self.task_id, version=found.revision, input_roots=self.input_roots)
        self.check_job_in_file(found)

    def check_job_in_file(self, found: StoredVersion) -> None:
        """Check the job as far as the Dag file has it; raise :class:`DagFileError`."""
        part_jobs.check_in_file(found.plan, self.job, f"task {self.task_id!r}")

    def execute(self, context: Context) -> dict[str, object]:
        """Return the CWL output object, with absolute locations."""
        from cwl_ui_plugin.cwl.engine import whole
        from cwl_ui_plugin.dags.folders import placement

        with self.reported(context), self.leased(context) as task:
            held = hold(self, context, {})
            placement.check_writable(held.folders.outputs, self._check_stopped)
            job = self.noted.inputs = self._checked_job(context)
            task.folder.mkdir(parents=True, exist_ok=True)
            document = whole.Document(
                self.document.compiled, self.document.source, task.folder, lambda step: self._settings(task, step)
            )
            try:
                destination = destination_of(held, task, self._check_stopped)
                outputs = whole.run_whole(document, job, destination, self.check_size)
            finally:
                for folder in sorted({path.parent for path in task.folder.rglob("std???.log")}):
                    log_command_output(self.log, folder)
            self.noted.outputs = outputs
            return self.handing_on(context, outputs)

    def _checked_job(self, context: Context) -> dict[str, object]:
        from cwl_ui_plugin.cwl.jobs.checks import check_job
        from cwl_ui_plugin.dags import remote_inputs

        plan = read_plan(self.document.compiled)
        given = part_jobs.complete(plan, self.job, f"the task {self.task_id!r}")
        allowed = config.flag("allow_job_requirements")
        rules = self.permit(context).file_rules()
        job = check_job(plan, given, rules, allow_requirements=allowed)
        return remote_inputs.brought(job, self._check_stopped, plan.inputs, rules.storage)

    def _settings(self, task: TaskTry, step: Step | None) -> RunSettings:
        return self.run_settings(task, step.container if step else None)


def _task_arguments(found: StoredVersion, job: dict[str, object], dag: DAG | None) -> dict[str, Any]:
    """Return what the executor is told of a tool; a workflow may ask for anything one after the other."""
    rules = ExecutorRules.configured(dag.dag_id, dag.tags) if dag else ExecutorRules.configured()
    plan = found.plan
    return rules.task_arguments(plan.steps[0], job) if plan.is_tool and plan.steps else rules.helper_arguments()
