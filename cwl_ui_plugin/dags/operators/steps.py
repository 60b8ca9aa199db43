"""Tasks of a step of a workflow."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk.exceptions import AirflowSkipException

from cwl_ui_plugin.cwl.errors import StepError
from cwl_ui_plugin.cwl.files import total_size
from cwl_ui_plugin.cwl.plan import read_traits
from cwl_ui_plugin.cwl.readers import with_chosen_alone
from cwl_ui_plugin.dags import handing_on, names
from cwl_ui_plugin.dags.operators.base import CwlOperator
from cwl_ui_plugin.dags.operators.log_streams import LogStream, cleaned
from cwl_ui_plugin.dags.staging.interface import SHARED, Value
from cwl_ui_plugin.observing.steps import watching

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.types import Logger

    from cwl_ui_plugin.cwl.engine.process_runs import StepResult
    from cwl_ui_plugin.cwl.engine.run_settings import RunSettings, Values
    from cwl_ui_plugin.dags.folders.run_folder import TaskTry
    from cwl_ui_plugin.dags.xcoms import TaskStatistics

LOGGED_CHARACTERS = 20_000


class StepOperator(CwlOperator):
    """What the tasks of a step have in common.

    ``approvals`` are the tasks that ask before the step, or before a step that it is in.
    """

    def __init__(self, *, approvals: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.approvals = tuple(approvals)

    def source_values(self, context: Context, chosen: range | None = None) -> Values:
        """Return the values that the step reads; skip the task if it is in a subworkflow that is skipped.

        Of lists of which each element of a scattered step reads its own item, only those of the ``chosen`` ones need
        be read.

        Raises:
            StepError: somebody was to be asked before the step, and has not approved it.

        """
        values = self.pulled(context)
        if names.SKIPPED in values:
            self.skip(context, {names.SKIPPED: values[names.SKIPPED]})
        self._check_approved(context)
        read: Values = {key: values[key] for key in self.step.sources if key in values}
        if chosen is not None and len(self.step.by_element) == len(self.step.scatter):
            with handing_on.failing_where_lost():
                read = with_chosen_alone(read, self.step.by_element, chosen)
        found: Values = handing_on.in_memory(read)
        return found

    def _check_approved(self, context: Context) -> None:
        """Fail without an answer: Airflow lets who may not give one set the state of the task that asks."""
        for asking in self.approvals:
            answer = context["ti"].xcom_pull(task_ids=asking)
            if not isinstance(answer, Mapping) or answer.get("chosen_options") != [names.APPROVE]:
                raise StepError(
                    f"Nobody has approved this step: the task {asking} has no answer, though its state lets the run go "
                    "on. Clear that task to have it ask again."
                )

    def skip(self, context: Context, handed_on: object) -> NoReturn:
        """Hand on an XCom, and skip the task in Airflow."""
        context["ti"].xcom_push(key=names.RETURN_KEY, value=handed_on)
        raise AirflowSkipException(f"The condition of step {self.step.id}, or of what it is in, is false.")

    @contextmanager
    def running(self, context: Context) -> Iterator[tuple[TaskTry, RunSettings]]:
        """Have a folder and a lease for commands; write what they print to the task's log, errors as they come."""
        with self.reported(context), self.leased(context) as task:
            task.folder.mkdir(parents=True, exist_ok=True)
            settings = self.run_settings(task, self.step.container)
            stream = LogStream(self.log, task.folder / "stderr.log")
            stream.start()
            try:
                with watching(self.step, settings.observed, task.dag_id, task.task_id):
                    yield task, settings
            finally:
                has_all = stream.stop()
                log_command_output(self.log, task.folder, ("stdout",) if has_all else ("stdout", "stderr"))

    def checking_inputs(self, settings: RunSettings, values: object) -> RunSettings:
        """Check that the files of ``values`` are there; or, where outputs may be taken over, before they are read."""
        if self.continues:
            return replace(settings, check_inputs=partial(self.check_there, values))
        self.check_there(values)
        return settings

    def fetched(self, values: Value) -> Value:
        """Return values with their files on this machine.

        A tool gets files of its own where it may write to them: by what its document says, or as root without a
        container. All others read the file that is kept for the tasks to come.
        """
        if self._staging is SHARED:
            return values
        traits = self.document.traits or read_traits(self.document.compiled)
        is_bare = self.step.container is None and self.step.tool != "ExpressionTool" and os.geteuid() == 0
        return self._staging.fetch(values, is_own=traits.changes_in_place or is_bare)

    def end(self, context: Context, handed_on: dict[str, object], is_skipped: bool) -> dict[str, object]:
        """Return the XCom for the tasks that follow; skip this one in Airflow, too, where its step was."""
        return self.skip(context, handed_on) if is_skipped else handed_on

    def with_statistics(self, made: Mapping[str, object], result: StepResult) -> dict[str, object]:
        """Return what the task has made as it is handed on: with what the step used."""
        self.noted.outputs, self.noted.statistics = made, statistics_of(result, made)
        return {**made, names.STATISTICS_KEY: self.noted.statistics}


class CwlStepOperator(StepOperator):
    """One step of the workflow, run by cwltool with its own semantics."""

    ui_color = "#f4f0fa"

    def execute(self, context: Context) -> dict[str, object]:
        """Return the values of the step's outputs; skip the task where the step's ``when`` is false."""
        from cwl_ui_plugin.cwl.engine import execution

        with self.running(context) as (task, settings):
            values = self.fetched(self.source_values(context))
            self.noted.inputs = values
            settings = self.checking_inputs(settings, values)
            result = execution.run_step(
                self.document.compiled, self.document.source, self.step, values, task.folder, settings
            )
            made = self.with_statistics(self._staging.put(result.values), result)
            handed_on = self.handing_on(context, made)
        return self.end(context, handed_on, result.status == "skipped")


def log_command_output(log: Logger, folder: Path, streams: Sequence[str] = ("stdout", "stderr")) -> None:
    """Write the end of what commands have printed into a task's log."""
    for stream in streams:
        text = _tail(folder / f"{stream}.log")
        if text:
            log.info("%s of the command:\n%s", stream, "\n".join(map(cleaned, text.split("\n"))))


def statistics_of(result: StepResult, produced: object) -> TaskStatistics:
    """Return what a step used; it stands among the values that it hands on."""
    return {
        "command": result.command,
        "exit_code": result.exit_code,
        "seconds": result.seconds,
        "cpu_seconds": result.cpu_seconds,
        "peak_memory_bytes": result.peak_memory_bytes,
        "output_bytes": total_size(produced),
        "reused": result.reused,
        "taken_over": result.taken_over,
        "asked_cores": result.asked_cores,
        "asked_ram": result.asked_ram,
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
