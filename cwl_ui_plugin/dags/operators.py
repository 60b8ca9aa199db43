"""The kinds of tasks of a CWL Dag. They are thin: what CWL means is in ``cwl.engine.execution``.

A worker of Airflow 3 has no database: values travel as XComs, errors too (key ``cwl_error``).
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

from cwl_ui_plugin import config
from cwl_ui_plugin.cwl.errors import CwlError, StepError
from cwl_ui_plugin.cwl.files import total_size
from cwl_ui_plugin.cwl.plan import Step, read_plan
from cwl_ui_plugin.cwl.readers import chosen_values
from cwl_ui_plugin.cwl.temporary_errors import may_pass
from cwl_ui_plugin.dags import names
from cwl_ui_plugin.dags.xcom_values import packed, unpacked

if TYPE_CHECKING:
    from airflow.sdk import Context

    from cwl_ui_plugin.cwl.engine.confines import Confines
    from cwl_ui_plugin.cwl.engine.process_runs import StepResult
    from cwl_ui_plugin.cwl.engine.run_settings import RunSettings, Values
    from cwl_ui_plugin.dags.access.permits import Permit
    from cwl_ui_plugin.dags.folders.run_folder import TaskTry
    from cwl_ui_plugin.dags.stopping.tombstones import StopCheck
    from cwl_ui_plugin.dags.xcoms import TaskError, TaskStatistics

LOGGED_CHARACTERS = 20_000
MAX_BATCH = 250
"""Elements; cwltool's executor takes longer for each the more it has, and a retry begins a batch anew."""


class Document(NamedTuple):
    """A compiled document on disk: ``compiled`` has plan.json and the step documents, ``source`` the uploaded files."""

    compiled: Path
    source: Path


class _CwlOperator(BaseOperator):
    """What the tasks have in common: the document, the run's folder, and how errors leave the task.

    ``sources`` are the tasks that the values come from which this one reads; ``step`` is there for the tasks of a
    step. One constructor serves all kinds, as Airflow makes each further one of a class cost as much as its own.
    """

    is_first = False

    def __init__(
        self, *, document: Document, sources: Sequence[str] = (), step: Step | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.document = document
        self.source_tasks = tuple(sources)
        if step is not None:
            self.step = step
        self._running: TaskTry | None = None
        self._check_stopped: Callable[[], None] = _do_nothing
        self._permit: Permit | None = None

    def pre_execute(self, context: Context) -> None:
        """Fail before anything is done that was not granted to this run, whatever its other tasks did."""
        with self.reported(context):
            self.permit(context)

    def permit(self, context: Context) -> Permit:
        """Return what this run may do; raise :class:`JobError` if that is nothing."""
        from cwl_ui_plugin.dags.access import permits

        if self._permit is None:
            run = context["dag_run"]
            self._permit = permits.permit(run.conf, dag_id=run.dag_id, run_id=run.run_id, first=self.is_first)
        return self._permit

    def run_settings(self, task: TaskTry, image: str | None = None) -> RunSettings:
        """Return how the engine is to run this task; container engines are asked only if there is an image."""
        from cwl_ui_plugin.cwl.containers.engines import NONE
        from cwl_ui_plugin.cwl.engine.run_settings import RunSettings
        from cwl_ui_plugin.dags.folders import run_folder
        from cwl_ui_plugin.dags.known_engine import engine_here
        from cwl_ui_plugin.dags.site import site_policy

        return RunSettings(
            engine=engine_here() if image else NONE,
            tag=task.tag,
            allow_network=config.flag("allow_network"),
            reuse=config.reuse_folder(),
            secrets=run_folder.secrets_file(task.dag_id, task.run_id),
            mpi_config=config.mpi_config_file(),
            images=config.images_folder(),
            job_requirements=config.flag("allow_job_requirements"),
            before_command=self._check_stopped,
            containers=site_policy(),
            confines=self._confines(task),
        )

    def _confines(self, task: TaskTry) -> Confines:
        """Return what this task may read: files that the run may use, and what it and its document bring."""
        from cwl_ui_plugin.cwl.engine.confines import Confines
        from cwl_ui_plugin.dags.access.file_access import file_rules
        from cwl_ui_plugin.dags.folders import run_folder

        rules = self._permit.file_rules() if self._permit else file_rules()
        own = (run_folder.run_tmp(task.dag_id, task.run_id), self.document.source)
        kept = config.reuse_folder()
        return Confines(rules, tuple(folder.resolve() for folder in own), kept.resolve() if kept else None)

    @contextmanager
    def reported(self, context: Context) -> Iterator[None]:
        """Turn errors of CWL into an XCom for the run page and the reports, and a failed task."""
        try:
            yield
        except CwlError as failure:
            raise _reported(context, failure) from failure
        except (OSError, config.ConfigError) as error:  # of the machine, not of the run
            kind = "temporaryFail" if may_pass(error) else "permanentFail"
            text = f"The task can't do its work on this worker: {error}"
            raise _reported(context, StepError(text, kind=kind)) from error

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
        try:
            with run_folder.lease(task, config.number("stop_grace")):
                self._check_stopped()
                os.environ[TAG_VARIABLE] = task.tag  # of all that this process starts
                yield task
        finally:
            self._running = None

    def check_there(self, values: Any) -> None:
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


class CwlDispatchOperator(_CwlOperator):
    """The first task: check the job, and hand on the workflow's inputs."""

    is_first = True
    ui_color = "#e8f0fa"

    def execute(self, context: Context) -> Values:
        """Return the values of the workflow's inputs."""
        from cwl_ui_plugin.cwl.engine import execution
        from cwl_ui_plugin.cwl.jobs.checks import check_job
        from cwl_ui_plugin.dags.conf import read_conf
        from cwl_ui_plugin.dags.folders import placement, run_folder

        with self.reported(context), self.leased(context) as task:
            run = context["dag_run"]
            conf = read_conf(run.conf)
            held = placement.hold(run.dag_id, run.run_id, run.run_after, conf.job).folders
            placement.check_writable(held.outputs)
            run_folder.place_run_tmp(run.dag_id, run.run_id, held.tmp)
            rules, allowed = self.permit(context).file_rules(), config.flag("allow_job_requirements")
            job = check_job(read_plan(self.document.compiled), conf.job, rules, allow_requirements=allowed)
            task.folder.mkdir(parents=True, exist_ok=True)
            values = execution.start(
                self.document.compiled, self.document.source, job, task.folder, self.run_settings(task)
            )
            return dict(packed(values))


class _StepOperator(_CwlOperator):
    """What the tasks of a step have in common."""

    def source_values(self, context: Context) -> Values:
        """Return the values that the step reads; skip the task if it is in a subworkflow that is skipped."""
        values = _pull_values(context["ti"], self.source_tasks)
        if names.SKIPPED in values:
            self.skip(context, {names.SKIPPED: values[names.SKIPPED]})
        return {key: values[key] for key in self.step.sources if key in values}

    def skip(self, context: Context, values: Any) -> NoReturn:
        """Hand on values, and skip the task in Airflow."""
        context["ti"].xcom_push(key=names.RETURN_KEY, value=packed(values))
        raise AirflowSkipException(f"The condition of step {self.step.id}, or of what it is in, is false.")

    @contextmanager
    def running(self, context: Context) -> Iterator[tuple[TaskTry, RunSettings]]:
        """Have a folder and a lease for commands; write what they print to the task's log."""
        with self.reported(context), self.leased(context) as task:
            task.folder.mkdir(parents=True, exist_ok=True)
            try:
                yield task, self.run_settings(task, self.step.container)
            finally:
                self._log_command_output(task.folder)

    def end(self, context: Context, values: Any, is_skipped: bool) -> Any:
        """Return the values for the tasks that follow; skip this one in Airflow, too, where its step was."""
        return self.skip(context, values) if is_skipped else packed(values)

    def _log_command_output(self, folder: Path) -> None:
        for stream in ("stdout", "stderr"):
            text = _tail(folder / f"{stream}.log")
            if text:
                self.log.info("%s of the command:\n%s", stream, text)


class CwlStepOperator(_StepOperator):
    """One step of the workflow, run by cwltool with its own semantics."""

    ui_color = "#f4f0fa"

    def execute(self, context: Context) -> Values:
        """Return the values of the step's outputs; skip the task where the step's ``when`` is false."""
        from cwl_ui_plugin.cwl.engine import execution

        with self.running(context) as (task, settings):
            values = self.source_values(context)
            self.check_there(values)
            result = execution.run_step(
                self.document.compiled, self.document.source, self.step, values, task.folder, settings
            )
        handed_on = {**result.values, names.STATISTICS_KEY: _statistics(result, result.values)}
        return dict(self.end(context, handed_on, result.status == "skipped"))


class CwlScatterOperator(_StepOperator):
    """Before a scattered step: which elements there are, and which task instance runs which of them."""

    ui_color = "#e8f0fa"

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Return a batch for each task instance: ``{"first", "last", "label"}``, the indices of its elements."""
        from cwl_ui_plugin.cwl.engine import scattering

        with self.reported(context), self.leased(context):
            if names.SKIPPED in _pull_values(context["ti"], self.source_tasks):
                return []  # a task that is skipped has no list that another could be mapped over
            labels = scattering.element_labels(
                self.document.compiled, self.document.source, self.step, self.source_values(context)
            )
        return batches(labels, most_batches(len(labels)))


class CwlElementsOperator(_StepOperator):
    """Some elements of a scattered step; one mapped task instance for each batch of them."""

    ui_color = "#f4f0fa"

    def __init__(self, *, batch: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.batch = batch

    def execute(self, context: Context) -> dict[str, Any]:
        """Return outputs and status of each element."""
        from cwl_ui_plugin.cwl.engine import scattering

        context[names.ELEMENTS_LABEL] = self.batch["label"]  # type: ignore[literal-required]
        chosen = range(self.batch["first"], self.batch["last"] + 1)
        with self.running(context) as (task, settings):
            values = self.source_values(context)
            self.check_there(chosen_values(values, self.step.by_element, chosen))
            result = scattering.run_elements(
                self.document.compiled, self.document.source, self.step, values, chosen, task.folder, settings
            )
        is_skipped = all(status == "skipped" for _outputs, status in result.results.values())
        handed_on = {**result.results, names.STATISTICS_KEY: _statistics(result.summary, result.results)}
        return dict(self.end(context, handed_on, is_skipped))


class CwlCollectOperator(_StepOperator):
    """After a scattered step: the outputs of all its elements, put together as CWL says."""

    ui_color = "#e8f0fa"

    def __init__(self, *, elements_task: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.elements_task = elements_task

    def execute(self, context: Context) -> Values:
        """Return the values of the step's outputs."""
        from cwl_ui_plugin.cwl.engine import scattering

        with self.reported(context), self.leased(context):
            pulled = context["ti"].xcom_pull(task_ids=self.elements_task) or []
            results: dict[str, Any] = {}
            for batch in pulled if isinstance(pulled, list) else [pulled]:
                results.update(_handed_on(batch))
            self.check_there(results)
            values, _status = scattering.gather(
                self.document.compiled, self.document.source, self.step, self.source_values(context), results
            )
        is_skipped = bool(results) and all(status == "skipped" for _outputs, status in results.values())
        return dict(self.end(context, values, is_skipped))


class CwlEnterOperator(_StepOperator):
    """Before the steps of a subworkflow: the values of its inputs."""

    ui_color = "#e8f0fa"

    def execute(self, context: Context) -> Values:
        """Return the values of the subworkflow's inputs; skip the task where the step's ``when`` is false."""
        from cwl_ui_plugin.cwl.engine import nesting

        with self.running(context) as (task, settings):
            source_values = self.source_values(context)
            self.check_there(source_values)
            values = nesting.enter(
                self.document.compiled, self.document.source, self.step, source_values, task.folder, settings
            )
        is_skipped = values is None
        return dict(self.end(context, {names.SKIPPED: [True, "skipped"]} if is_skipped else values, is_skipped))


class CwlLeaveOperator(_StepOperator):
    """After the steps of a subworkflow: the outputs of its step."""

    ui_color = "#e8f0fa"

    def execute(self, context: Context) -> Values:
        """Return the values of the step's outputs; skip the task where the step was skipped."""
        from cwl_ui_plugin.cwl.engine import nesting

        with self.reported(context), self.leased(context):
            values = _pull_values(context["ti"], self.source_tasks)
            if names.SKIPPED in values:
                self.skip(context, nesting.skipped(self.step))
            self.check_there([values.get(name) for name in self.step.output_sources])
            return dict(packed(nesting.leave(self.document.compiled, self.document.source, self.step, values)))


class CwlGatherOperator(_CwlOperator):
    """The last task: deliver the outputs of the workflow."""

    ui_color = "#e8f0fa"

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the CWL output object, with absolute locations."""
        from cwl_ui_plugin.cwl.engine import execution
        from cwl_ui_plugin.cwl.engine.outputs.delivery import Destination
        from cwl_ui_plugin.dags.access.file_access import check_values
        from cwl_ui_plugin.dags.conf import read_conf
        from cwl_ui_plugin.dags.folders import claims, placement, run_folder

        with self.reported(context), self.leased(context) as task:
            values = _pull_values(context["ti"], self.source_tasks)
            check_values(values, self._confines(task).allows, allow_network=config.flag("allow_network"))
            plan = read_plan(self.document.compiled)
            self.check_there(values if plan.is_tool else [values.get(name) for name in plan.output_sources])
            run = context["dag_run"]
            conf = read_conf(run.conf)
            place = placement.hold(run.dag_id, run.run_id, run.run_after, conf.job).folders.outputs
            own = run_folder.run_tmp(run.dag_id, run.run_id).resolve()
            record, lock = claims.record_of(place.path), claims.file_of(place.path)
            destination = Destination(place.path, place.root, own=(own,), record=record, lock=lock)
            outputs = execution.finish(self.document.compiled, self.document.source, values, destination)
        return dict(packed(outputs))  # runs.cleaning removes intermediate files once Airflow has stored this


def most_batches(count: int) -> int:
    """Return how many task instances a number of elements gets: one for each, or enough to keep all workers busy.

    More batches than can run at the same time would only add the cost of their tasks; twice as many even out batches
    that take longer than others.
    """
    most = config.scatter_max_tasks()
    wanted = max(2 * config.parallelism(), math.ceil(count / MAX_BATCH))
    return most if count <= most else min(most, wanted)


def batches(labels: Sequence[str], most: int) -> list[dict[str, Any]]:
    """Divide elements into at most ``most`` batches of neighbours, as even as can be."""
    count = min(len(labels), most)
    bounds = [len(labels) * number // count for number in range(count + 1)] if count else [0]
    return [
        {
            "first": first,
            "last": after - 1,
            "label": labels[first] if after - first == 1 else f"{labels[first]} … {labels[after - 1]}",
        }
        for first, after in pairwise(bounds)
    ]


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


def _pull_values(ti: Any, tasks: Sequence[str]) -> Values:
    values: Values = {}
    for task_id in tasks:
        values.update(_handed_on(ti.xcom_pull(task_ids=task_id) or {}))
    return values


def _handed_on(value: dict[str, Any]) -> dict[str, Any]:
    """Return what another task handed on, without how it went there."""
    return {key: unpacked(item) for key, item in value.items() if key != names.STATISTICS_KEY}


def _reported(context: Context, failure: CwlError) -> Exception:
    """Push an error, or that the run was stopped; return how Airflow is told of it."""
    error = _stop_check(context).found() or failure
    _push_error(context, error)
    kind = AirflowException if getattr(error, "kind", "") == "temporaryFail" else AirflowFailException
    return kind(_with_problems(error))


def _push_error(context: Context, error: CwlError) -> None:
    told: TaskError = {
        "message": _with_problems(error),
        "kind": getattr(error, "kind", "permanentFail"),
        "exit_code": getattr(error, "exit_code", None),
        "stderr": error.stderr if isinstance(error, StepError) else "",
        "command": error.command if isinstance(error, StepError) else None,
    }
    context["ti"].xcom_push(key=names.ERROR_KEY, value=told)


def _with_problems(error: CwlError) -> str:
    return "\n".join([error.message, *(f"- {problem}" for problem in error.problems)])


def _statistics(result: StepResult, produced: Any) -> TaskStatistics:
    return {
        "command": result.command,
        "exit_code": result.exit_code,
        "seconds": result.seconds,
        "cpu_seconds": result.cpu_seconds,
        "peak_memory_bytes": result.peak_memory_bytes,
        "output_bytes": total_size(produced),
        "reused": result.reused,
    }


def _tail(path: Path) -> str:
    """Return the end of a file, or nothing where there is none."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - LOGGED_CHARACTERS))
            text = file.read().decode("utf-8", "replace").rstrip()
    except FileNotFoundError:
        return ""
    return f"(the last {LOGGED_CHARACTERS} of {size} bytes)\n{text}" if size > LOGGED_CHARACTERS else text
