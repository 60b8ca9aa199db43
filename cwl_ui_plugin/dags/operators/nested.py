"""The tasks around the steps of a subworkflow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cwl_ui_plugin.dags import handing_on, names
from cwl_ui_plugin.dags.operators.steps import StepOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class CwlEnterOperator(StepOperator):
    """Before the steps of a subworkflow: the values of its inputs."""

    ui_color = "#e8f0fa"

    def execute(self, context: Context) -> dict[str, object]:
        """Return the values of the subworkflow's inputs; skip the task where the step's ``when`` is false."""
        from cwl_ui_plugin.cwl.engine import nesting

        with self.running(context) as (task, settings):
            source_values = self.fetched(self.source_values(context))
            self.check_there(source_values)
            values = nesting.enter(
                self.document.compiled, self.document.source, self.step, source_values, task.folder, settings
            )
            made = {names.SKIPPED: [True, "skipped"]} if values is None else self._staging.put(values)
            xcom = self.handing_on(context, made)
        return self.end(context, xcom, values is None)


class CwlLeaveOperator(StepOperator):
    """After the steps of a subworkflow: the outputs of its step."""

    ui_color = "#e8f0fa"

    def execute(self, context: Context) -> dict[str, object]:
        """Return the values of the step's outputs; skip the task where the step was skipped."""
        from cwl_ui_plugin.cwl.engine import nesting

        with self.reported(context), self.leased(context):
            values = self.pulled(context)
            if names.SKIPPED in values:
                self.skip(context, self.handing_on(context, nesting.skipped(self.step)))
            values = handing_on.in_memory({name: values[name] for name in self.step.output_sources if name in values})
            self.check_handed_on(list(values.values()))
            made = nesting.leave(self.document.compiled, self.document.source, self.step, values)
            return self.handing_on(context, made)
