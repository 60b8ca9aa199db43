"""A run of an uploaded workflow as one task of another Dag."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator, BaseOperatorLink
from airflow.sdk.exceptions import AirflowException, AirflowSkipException, AirflowTaskTimeout

from cwl_ui_plugin import config
from cwl_ui_plugin.cwl.errors import CwlError, StepError
from cwl_ui_plugin.dags import part_jobs, triggered_runs
from cwl_ui_plugin.dags.errors import DagFileError
from cwl_ui_plugin.dags.operators.base import reported_failure
from cwl_ui_plugin.dags.xcom_values import packed

if TYPE_CHECKING:
    from airflow.sdk import Context

    from cwl_ui_plugin.cwl.plan import Plan

RUN_ID_KEY = "cwl_run_id"
"""XCom key of the run that the task has started, or found."""
_LOOK_SECONDS = 0.5
"""How soon a task that waits notices that it is killed: Airflow gives it five seconds."""


class _Killed(AirflowException):
    """The task was killed while it waited."""


class CwlRunLink(BaseOperatorLink):
    """A button on the task's page that leads to the run that it has started."""

    name = "CWL run"

    def get_link(self, operator: BaseOperator, *, ti_key: object) -> str:
        """Return the address of the run on Airflow's pages; nothing before it was started."""
        from airflow.sdk.execution_time.xcom import XCom

        dag_id = getattr(operator, "workflow_dag_id", "")
        run_id = XCom.get_value(ti_key=ti_key, key=RUN_ID_KEY)
        return run_address(dag_id, run_id) if run_id else ""


class CwlRunOperator(BaseOperator):
    """Runs an uploaded workflow and waits for it.

    ``CwlRunOperator(task_id="count", workflow_dag_id="count-lines", job={"text": download.output})`` starts a run of
    that Dag and returns its CWL output object; each output is an XCom of its own, too. ``workflow_dag_id``, ``job`` and
    ``run_id`` are templated. The task fails with the run's first error.

    Each try of the task has the same name for its run (or ``run_id``): one that is still alive is waited for, not
    started twice; one that has succeeded before a later try is taken. After a failure, or when somebody has cleared the
    task, there is a new run.

    ``wait=False`` starts the run and returns ``{"dag_id", "run_id"}``. While it waits it looks every ``poke_interval``
    seconds; ``deferrable`` needs no worker meanwhile. With ``stop_on_kill`` the run is stopped when the task is killed,
    for which the task must not be deferred. ``soft_fail`` skips the task where the run has failed.

    The run may use the files that everybody's inputs may come from, and no others.
    """

    template_fields: Sequence[str] = ("workflow_dag_id", "job", "run_id")
    template_fields_renderers = {"job": "py"}
    operator_extra_links = (CwlRunLink(),)
    ui_color = "#f4f0fa"

    def __init__(
        self,
        *,
        workflow_dag_id: str,
        job: object = None,
        run_id: str | None = None,
        wait: bool = True,
        deferrable: bool | None = None,
        poke_interval: float = 5.0,
        stop_on_kill: bool = False,
        soft_fail: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"multiple_outputs": True, **kwargs})
        self.workflow_dag_id = workflow_dag_id
        self.job = {} if job is None else job
        self.run_id = run_id
        self.wait = wait
        self.deferrable = _default_deferrable() and not stop_on_kill if deferrable is None else deferrable
        if self.deferrable and stop_on_kill:
            raise DagFileError(
                f"Task {self.task_id!r} has stop_on_kill: a deferred task has no process that could stop the run when "
                "it is killed. Use deferrable=False."
            )
        self.poke_interval = poke_interval
        self.stop_on_kill = stop_on_kill
        self.soft_fail = soft_fail
        self._is_killed = False

    def execute(self, context: Context) -> dict[str, object]:
        """Start the run, unless an earlier try has, and wait for it; return its output object."""
        try:
            run_id = self._started(context)
            self._show(context, run_id)
            if not self.wait:
                return {"dag_id": self.workflow_dag_id, "run_id": run_id}
            if self.deferrable:
                self._defer(run_id)
            with self._stopping(run_id):
                state = self._waited(context, run_id)
            return self._outcome(context, run_id, state)
        except CwlError as failure:
            raise reported_failure(context, failure) from failure

    def execute_complete(self, context: Context, event: object, run_id: str) -> dict[str, object]:
        """Go on after the run has ended."""
        try:
            return self._outcome(context, run_id, triggered_runs.state(context["ti"], self.workflow_dag_id, run_id))
        except CwlError as failure:
            raise reported_failure(context, failure) from failure

    def on_kill(self) -> None:
        """Have the task notice that it is killed: this is called in the midst of whatever it does."""
        self._is_killed = True

    def _started(self, context: Context) -> str:
        """Return the run of this task: one that is alive, or has succeeded since the task was cleared, or a new one."""
        job, clears = self._checked_job(), context["dag_run"].clear_number or 0
        base, next_name = self.run_id or triggered_runs.base_name(context), ""
        for clear, name, found in triggered_runs.runs_of(self.workflow_dag_id, base, clears):
            next_name = name
            if found is None:
                continue
            is_same = found.job == job
            if found.is_alive and not is_same:
                raise StepError(
                    f"The run {name!r} of {self.workflow_dag_id!r}, which this task has started with another job, "
                    "still goes on: stop it, or wait for its end.",
                    kind="temporaryFail",
                )
            if found.is_alive or (found.state == "success" and is_same and clear == clears):
                self.log.info("The run %s of %s was started before.", name, self.workflow_dag_id)
                return name
        triggered_runs.start(self.workflow_dag_id, next_name, job, datetime.now(timezone.utc))
        return next_name

    def _checked_job(self) -> dict[str, object]:
        """Return the job; raise :class:`JobError` if it does not fit the workflow, where that is known here."""
        from cwl_ui_plugin.cwl.jobs.checks import check_job
        from cwl_ui_plugin.dags.access.permits import Permit

        plan = self._plan()
        job = part_jobs.complete(plan, self.job, f"the task {self.task_id!r}")
        if plan is not None:
            check_job(plan, job, Permit().file_rules(), allow_requirements=config.flag("allow_job_requirements"))
        return job

    def _plan(self) -> Plan | None:
        """Return the plan of the workflow as it is now; None where this worker can't read it."""
        from cwl_ui_plugin.library.errors import LibraryError
        from cwl_ui_plugin.library.site_store import site_store

        try:
            return site_store().current(self.workflow_dag_id).plan
        except (LibraryError, OSError):
            return None

    def _show(self, context: Context, run_id: str) -> None:
        """Tell which run it is, from now on."""
        ti, address = context["ti"], run_address(self.workflow_dag_id, run_id)
        ti.xcom_push(key=RUN_ID_KEY, value=run_id)
        ti.xcom_push(key=CwlRunLink().xcom_key, value=address)
        self.log.info("The run is %s of %s: %s", run_id, self.workflow_dag_id, address)

    def _defer(self, run_id: str) -> None:
        from airflow.providers.standard.triggers.external_task import DagStateTrigger

        trigger = DagStateTrigger(
            dag_id=self.workflow_dag_id,
            states=list(triggered_runs.ENDED),  # type: ignore[arg-type]
            run_ids=[run_id],
            poll_interval=self.poke_interval,
        )
        self.defer(trigger=trigger, method_name="execute_complete", kwargs={"run_id": run_id})

    def _waited(self, context: Context, run_id: str) -> str:
        """Return the state of the run once it has ended."""
        while (state := triggered_runs.state(context["ti"], self.workflow_dag_id, run_id)) not in triggered_runs.ENDED:
            deadline = time.monotonic() + self.poke_interval
            while not self._is_killed and time.monotonic() < deadline:
                time.sleep(min(_LOOK_SECONDS, self.poke_interval))
            if self._is_killed:
                raise _Killed("The task was killed.")
        return state

    @contextmanager
    def _stopping(self, run_id: str) -> Iterator[None]:
        """Have the run stopped where the task is killed, or has no time left, while it waits."""
        try:
            yield
        except (_Killed, AirflowTaskTimeout):
            if self.stop_on_kill:
                triggered_runs.stop(self.workflow_dag_id, run_id, datetime.now(timezone.utc))
                self.log.info("The run %s of %s is being stopped.", run_id, self.workflow_dag_id)
            raise

    def _outcome(self, context: Context, run_id: str, state: str) -> dict[str, object]:
        if state == "success":
            made: dict[str, object] = packed(triggered_runs.outputs(context["ti"], self.workflow_dag_id, run_id))
            return made
        failure = triggered_runs.failure(context["ti"], self.workflow_dag_id, run_id)
        if self.soft_fail:
            raise AirflowSkipException(str(failure))
        raise failure


def run_address(dag_id: str, run_id: str) -> str:
    """Return the address of a run on Airflow's pages, where there is a tab with the page of CWL."""
    from airflow.configuration import conf

    from cwl_ui_plugin import addresses

    return f"{conf.get('api', 'base_url', fallback='').rstrip('/')}{addresses.airflow_run(dag_id, run_id)}"


def _default_deferrable() -> bool:
    from airflow.configuration import conf

    return bool(conf.getboolean("operators", "default_deferrable", fallback=False))
