"""What all tasks of CWL have in common: the document, the run's folder, and how values and errors leave a task.

A worker of Airflow 3 has no database: values travel as XComs, errors too (key ``cwl_error``).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowTaskTimeout

from cwl_ui_plugin import config
from cwl_ui_plugin.cwl.errors import CwlError, StepError
from cwl_ui_plugin.cwl.plan import Step, Traits, read_plan, traits_of
from cwl_ui_plugin.cwl.temporary_errors import may_pass
from cwl_ui_plugin.dags import handing_on, names
from cwl_ui_plugin.dags.errors import LostValueError
from cwl_ui_plugin.dags.parts import Part
from cwl_ui_plugin.dags.relaying.control import control
from cwl_ui_plugin.dags.relaying.errors import RelayError
from cwl_ui_plugin.dags.sharing import shares_folders
from cwl_ui_plugin.dags.staging.interface import SHARED, Staging, staging_of
from cwl_ui_plugin.dags.xcom_values import packed
from cwl_ui_plugin.observing.lineage.noting import Subject, TellsLineage

if TYPE_CHECKING:
    from airflow.sdk import Context

    from cwl_ui_plugin.cwl.engine.confines import Confines
    from cwl_ui_plugin.cwl.engine.results import Earlier, Results, ResultsKeeper
    from cwl_ui_plugin.cwl.engine.run_settings import RunSettings, Values
    from cwl_ui_plugin.cwl.engine.secrets import SecretsKeeper
    from cwl_ui_plugin.dags.access.permits import Permit
    from cwl_ui_plugin.dags.folders.run_folder import TaskTry
    from cwl_ui_plugin.dags.stopping.tombstones import StopCheck
    from cwl_ui_plugin.dags.xcoms import TaskError
    from cwl_ui_plugin.library.schedules import Schedule
    from cwl_ui_plugin.library.versions import StoredVersion


class Document(NamedTuple):
    """A compiled document on disk: ``compiled`` has plan.json and the step documents, ``source`` the uploaded files.

    ``schedule`` is that of its workflow, for runs that Airflow creates from it; ``traits`` are in its plan.
    """

    compiled: Path
    source: Path
    schedule: Schedule | None = None
    traits: Traits | None = None

    @classmethod
    def of(cls, found: StoredVersion, schedule: Schedule | None = None) -> Document:
        """Return the document of a stored version."""
        return cls(found.compiled, found.source, schedule, traits_of(found.plan))


class CwlOperator(BaseOperator, TellsLineage):
    """What the tasks have in common: the document, the run's folder, and how errors leave the task.

    ``sources`` are the tasks that the values come from which this one reads; ``step`` is there for the tasks of a
    step, ``part`` for those of a Dag that somebody wrote. One constructor serves all kinds, as Airflow makes each
    further one of a class cost as much as its own.
    """

    is_first = False

    def __init__(
        self,
        *,
        document: Document,
        sources: Sequence[str] = (),
        step: Step | None = None,
        part: Part | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.document = document
        self.source_tasks = tuple(sources)
        self.part = part
        if step is not None:
            self.step = step
        self._running: TaskTry | None = None
        self._check_stopped: Callable[[], None] = _do_nothing
        self._permit: Permit | None = None
        self._staging: Staging = SHARED

    def pre_execute(self, context: Context) -> None:
        """Fail before anything is done that was not granted to this run, whatever its other tasks did."""
        with self.reported(context):
            self.permit(context)
            if self.part and self.part.begin:
                self._keep_version(self.part, self.part.begun(context["ti"]))

    def permit(self, context: Context) -> Permit:
        """Return what this run may do; raise :class:`JobError` if that is nothing."""
        from cwl_ui_plugin.dags.access import permits
        from cwl_ui_plugin.dags.scheduling import schedule_of

        if self._permit is None:
            run = context["dag_run"]
            control().grant_key(run.conf)
            if self.part:
                self._permit = self.part.permit(run)
                return self._permit
            schedule = schedule_of(run, self.document.schedule)
            self._permit = permits.permit(
                run.conf, dag_id=run.dag_id, run_id=run.run_id, first=self.is_first, schedule=schedule
            )
        return self._permit

    def given_job(self, context: Context) -> dict[str, object]:
        """Return the job of the run, as it was asked for; raise :class:`JobError` if it is none.

        What the author of a Dag file gives as its ``params`` comes before the job of a schedule.
        """
        from cwl_ui_plugin.dags.run_job import run_job
        from cwl_ui_plugin.dags.scheduling import scheduled_job

        if self.part:
            return {}  # the conf is for whatever else is in the Dag
        run, params = context["dag_run"], self.dag.params
        inputs = read_plan(self.document.compiled).inputs
        names = {item.id for item in inputs}
        own: frozenset[str] = getattr(self.dag, "own_params", frozenset())
        found = {name: params.get_param(name) for name in own & names}
        template = {name: param.value for name, param in found.items() if param.has_value}
        template |= scheduled_job(run, self.document.schedule)
        return run_job(inputs, run.conf, template=template, others=own - names)

    def run_settings(self, task: TaskTry, image: str | None = None) -> RunSettings:
        """Return how the engine is to run this task; container engines are asked only if there is an image."""
        from cwl_ui_plugin.cwl.containers.engines import NONE
        from cwl_ui_plugin.cwl.engine.run_settings import RunSettings
        from cwl_ui_plugin.dags.known_engine import engine_here
        from cwl_ui_plugin.dags.site import site_policy

        is_staged = self._staging is not SHARED and hasattr(self, "step")
        return RunSettings(
            engine=engine_here() if image else NONE,
            tag=task.tag,
            reuse=None if is_staged else config.reuse_folder(),
            secrets=self._secrets(task),
            mpi_config=config.mpi_config_file(),
            images=config.images_folder(),
            job_requirements=config.flag("allow_job_requirements"),
            before_command=self._check_stopped,
            containers=site_policy(),
            confines=self._confines(task),
            traits=self.document.traits,
            results=self._results(task) if shares_folders() else self._staged_results(task, is_staged),
            shares_folders=shares_folders(),
        )

    def _secrets(self, task: TaskTry) -> SecretsKeeper | None:
        """Return who keeps the secrets of the run; no server is asked where the workflow has none."""
        if shares_folders() or any(item.is_secret for item in read_plan(self.document.compiled).inputs):
            return control().secrets(task, self.part.name if self.part else "")
        return None

    @property
    def continues(self) -> bool:
        """Whether the run goes on from another one."""
        return self._permit is not None and self._permit.continued is not None

    def _staged_results(self, task: TaskTry, is_staged: bool) -> ResultsKeeper | None:
        """Return where results are that all machines find; nobody goes on from a part of another Dag's run."""
        continued = self._permit.continued if self._permit else None
        is_kept = is_staged and (not self.part or config.flag("reuse"))
        return self._staging.results(task, continued.run_id if continued else None) if is_kept else None

    def _results(self, task: TaskTry) -> Results | None:
        """Return where the task leaves word of what it has made, and finds it in the run that this one goes on from."""
        from cwl_ui_plugin.cwl.engine.results import Results
        from cwl_ui_plugin.dags.folders import run_folder

        place = run_folder.run_tmp(task.dag_id, task.run_id)
        own = tuple(dict.fromkeys((place, place.resolve())))
        return None if self.part else Results(own, task.task_id, task.map_index, self._earlier(task))

    def _earlier(self, task: TaskTry) -> Earlier | None:
        """Return the run that this one goes on from, while its files are there."""
        from cwl_ui_plugin.cwl.engine.results import Earlier
        from cwl_ui_plugin.dags.folders import run_folder
        from cwl_ui_plugin.opened import place_of

        continued = self._permit.continued if self._permit else None
        if continued is None:
            return None
        named = run_folder.run_tmp(task.dag_id, continued.run_id)
        real = run_folder.real_run_tmp(task.dag_id, continued.run_id)
        place = place_of(real, (config.tmp_folder(), *config.named_roots())) if real else None
        if real is None or place is None:
            return None
        # A second try is made as the first may have handed on too little.
        may_be_gone = task.task_id in continued.gone and task.try_number <= 1
        return Earlier(place, tuple(dict.fromkeys((named, real))), may_be_gone)

    def _confines(self, task: TaskTry) -> Confines:
        """Return what this task may read: files that the run may use, and what it and its document bring."""
        from cwl_ui_plugin.cwl.engine.confines import Confines
        from cwl_ui_plugin.dags.access.file_access import file_rules
        from cwl_ui_plugin.dags.folders import run_folder

        rules = self._permit.file_rules() if self._permit else file_rules()
        own = (run_folder.run_tmp(task.dag_id, task.run_id), self.document.source)
        kept = [folder for folder in (config.reuse_folder(), config.fetched_folder()) if folder]
        return Confines(rules, tuple(folder.resolve() for folder in own), tuple(folder.resolve() for folder in kept))

    @contextmanager
    def reported(self, context: Context) -> Iterator[None]:
        """Turn errors of CWL into an XCom for the run page and the reports, and a failed task."""
        try:
            yield
        except CwlError as failure:
            raise self._told(context, failure) from failure
        except RelayError as error:  # nothing of the task has begun
            text = f"The API server does not let this task begin, or can't be told of it: {error}"
            raise self._told(context, StepError(text, kind="temporaryFail")) from error
        except (OSError, config.ConfigError) as error:  # of the machine, not of the run
            kind = "temporaryFail" if may_pass(error) else "permanentFail"
            text = f"The task can't do its work on this worker: {error}"
            raise self._told(context, StepError(text, kind=kind)) from error
        except AirflowTaskTimeout:
            allowed = f"{self.execution_timeout.total_seconds():g} seconds" if self.execution_timeout else "it may"
            text = f"The task took longer than {allowed} (execution_timeout, from [cwl] task_rules or its Dag file)."
            self._push_error(context, StepError(text, kind="temporaryFail"))
            raise

    def _told(self, context: Context, failure: CwlError) -> Exception:
        """Push an error, or that the run was stopped; return how Airflow is told of it."""
        return _as_failure(self._push_error(context, failure))

    def _push_error(self, context: Context, failure: CwlError) -> TaskError:
        """Push an error, or that the run was stopped; return what was pushed."""
        told = _error_of(_stop_check(context).found() or failure)
        self.noted.failure = told
        context["ti"].xcom_push(key=names.ERROR_KEY, value=told)
        return told

    def lineage_subject(self) -> Subject:
        """Return which task this is, for OpenLineage."""
        step = getattr(self, "step", None)
        return Subject(self.dag_id, self.document.compiled, self.document.source, step, self.is_first)

    @contextmanager
    def leased(self, context: Context) -> Iterator[TaskTry]:
        """Hold this try's lease while it does anything, unless the run is stopped.

        The lease is written before it looks for the word of a stop, which looks for leases after it has left that: one
        of the two sees the other.

        Raises:
            StoppedError: the run is stopped.

        """
        from cwl_ui_plugin.cwl.processes.task_processes import TAG_VARIABLE
        from cwl_ui_plugin.dags.folders import run_folder

        self._running = task = _task_try(context)
        self._check_stopped = _stop_check(context)
        relayed = control()
        try:
            with run_folder.lease(task, config.number("stop_grace")):
                relayed.hold(task)
                self._check_stopped()
                os.environ[TAG_VARIABLE] = task.tag  # of all that this process starts
                self._staging = staging_of(task, lambda: self._confines(task).allows, self._check_stopped)
                yield task
        finally:
            self._running = None
            relayed.settle(task)
            self._staging.close()
            self._staging = SHARED

    def pulled(self, context: Context) -> Values:
        """Return all values that the tasks before this one have handed on; of a group that is skipped, just that.

        Long lists of them may be ``LongList`` objects: whoever needs a value has it by ``handing_on.in_memory``.
        """
        if self.part and self.part.begun(context["ti"]) is None:
            return {names.SKIPPED: [True, "skipped"]}
        values: Values = {}
        for task_id in self.source_tasks:
            values.update(self.handed_on(context, context["ti"].xcom_pull(task_ids=task_id) or {}))
        return values

    def handed_on(self, context: Context, xcom: object, run: tuple[str, str] | None = None) -> Any:
        """Return what another task of the run, or of another one, has handed on; raise :class:`StepError`."""
        ti = context["ti"]
        try:
            return handing_on.values_of(run or (ti.dag_id, ti.run_id), xcom, self._staging)
        except LostValueError as error:
            raise StepError(str(error)) from error

    def _keep_version(self, part: Part, begun: str | None) -> None:
        """Go on with the document that the group has begun with, where the Dag file has another one by now."""
        if begun is None or begun == part.version:
            return
        found = part.earlier(begun, read_plan(self.document.compiled))
        self.document = Document.of(found)
        if hasattr(self, "step"):
            self.step = next(step for _depth, step in found.plan.all_steps() if step.task_id == self.step.task_id)

    def handing_on(self, context: Context, values: object) -> dict[str, object]:
        """Return values as the XCom that other tasks get them by, while the task has its lease.

        Raises:
            StepError: they are too many; see :meth:`check_size`.
            OSError: they can't be kept.

        """
        if self.multiple_outputs:  # tasks that users have written read them, too
            self.check_size(values)
            made: dict[str, object] = packed(values)
            return made
        ti = context["ti"]
        return handing_on.as_xcom((ti.dag_id, ti.run_id), values, self._staging)

    def check_size(self, values: object) -> None:
        """Raise :class:`StepError` for values that are more than a task may hand on."""
        most = config.number("max_handed_on_size")
        handing_on.check_size(values, min(most, handing_on.MAX_XCOM) if self.multiple_outputs else most)

    def check_handed_on(self, values: object) -> None:
        """The same for a task that opens no file: what a run has taken over may be without those that nobody reads."""
        if not self.continues:
            self.check_there(values)

    def check_there(self, values: object) -> None:
        """Fail where files of ``values`` were removed, since no task could read them any more."""
        from cwl_ui_plugin.dags.folders import intermediate

        if self._running:
            reader = f"Step {self.step.id}" if hasattr(self, "step") else "The last task"
            intermediate.check_there(self._running, values, reader)

    def on_kill(self) -> None:
        """End every process of this task; Airflow kills the task's own group 5 seconds later.

        A stop that goes on does it by itself, and leaves the commands all of their grace.
        """
        if self._running:
            from cwl_ui_plugin.dags.folders import run_folder
            from cwl_ui_plugin.dags.stopping import stop_orders

            if not stop_orders.is_followed_here(self._running.dag_id, self._running.run_id):
                run_folder.give_back(self._running, min(config.number("stop_grace"), 3))


def _task_try(context: Context) -> TaskTry:
    from cwl_ui_plugin.dags.folders.run_folder import TaskTry

    ti = context["ti"]
    return TaskTry(
        dag_id=ti.dag_id,
        run_id=ti.run_id,
        task_id=ti.task_id,
        map_index=ti.map_index if ti.map_index is not None else -1,
        try_number=ti.try_number,
    )


def _stop_check(context: Context) -> StopCheck:
    from cwl_ui_plugin.dags.stopping.tombstones import Begun, StopCheck

    ti, run = context["ti"], context["dag_run"]
    begun = Begun(run_after=run.run_after, clear_number=run.clear_number or 0, instance=str(ti.id))
    return StopCheck(ti.dag_id, ti.run_id, begun)


def _do_nothing() -> None:
    """What there is to check before a task has its lease."""


def reported_failure(context: Context, failure: CwlError) -> Exception:
    """Push an error, or that the run was stopped; return how Airflow is told of it."""
    told = _error_of(_stop_check(context).found() or failure)
    context["ti"].xcom_push(key=names.ERROR_KEY, value=told)
    return _as_failure(told)


def _as_failure(told: TaskError) -> Exception:
    kind = AirflowException if told["kind"] == "temporaryFail" else AirflowFailException
    return kind(told["message"])


def _error_of(error: CwlError) -> TaskError:
    return {
        "message": error.in_full,
        "kind": getattr(error, "kind", "permanentFail"),
        "exit_code": getattr(error, "exit_code", None),
        "stderr": error.stderr if isinstance(error, StepError) else "",
        "command": error.command if isinstance(error, StepError) else None,
        "used": dict(error.used) if isinstance(error, StepError) else {},
    }
