"""Before a step that somebody has to agree to: the question, by Airflow's own human-in-the-loop tasks.

The question is on Airflow's "Required actions" tab. While it waits the task takes no worker's slot, and the run can be
stopped. Imported only where a workflow asks for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Param

from cwl_ui_plugin import addresses
from cwl_ui_plugin.cwl.errors import StepError
from cwl_ui_plugin.cwl.plan import Approval, Step
from cwl_ui_plugin.dags import names
from cwl_ui_plugin.dags.operators.approval_texts import question
from cwl_ui_plugin.dags.operators.steps import StepOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

APPROVE, REJECT = names.APPROVE, "Reject"
REASON = "reason"
"""What the answer's form asks for besides yes or no."""
MAX_REASON = 2000


def answer_params() -> dict[str, Param]:
    """Return what the answer's form asks for: an argument of the operator, as Airflow adds to it what the Dag has."""
    return {REASON: Param("", type=["string", "null"], title="Reason", maxLength=MAX_REASON)}


class CwlApprovalOperator(StepOperator, HITLOperator):
    """Wait until somebody approves a step; fail if somebody rejects it, so that nothing after it runs."""

    ui_color = "#fdf3e0"
    # The question is made of what a document and its run's values say: nothing in it is a template.
    template_fields: Sequence[str] = ()

    def __init__(self, *, step: Step, approval: Approval, **kwargs: Any) -> None:
        self.approval = approval
        answer = {"approve": APPROVE, "reject": REJECT}[approval.on_timeout]
        kwargs.pop("execution_timeout", None)  # it is about work; Airflow would take it for the time to answer
        super().__init__(
            step=step,
            subject=f"Run the step {step.label or step.id}?",
            options=[APPROVE, REJECT],
            defaults=answer if approval.timeout else None,
            response_timeout=timedelta(seconds=approval.timeout) if approval.timeout else None,
            assigned_users=[{"id": user, "name": user} for user in approval.assignees] or None,
            **kwargs,
        )

    def execute(self, context: Context) -> Any:
        """Ask; skip the task where its step is in a subworkflow that is skipped."""
        with self.reported(context), self.leased(context):
            values = self.source_values(context)
            run = context["dag_run"]
            self.body = question(self.step, self.approval.message, values, _page_of(run.dag_id, run.run_id))
        return HITLOperator.execute(self, context)

    def execute_complete(self, context: Context, event: dict[str, object]) -> object:
        """Take the answer.

        Raises:
            StepError: it is no; told as any failure of a step.

        """
        with self.reported(context), self.leased(context):
            if "error" in event:
                raise StepError(f"The approval could not be had: {event['error']}")
            answer = HITLOperator.execute_complete(self, context, event)
            if answer["chosen_options"] != [APPROVE]:
                raise StepError(self._rejection(event))
        return answer

    def _rejection(self, event: dict[str, Any]) -> str:
        user = event.get("responded_by_user")
        if not user:
            seconds = f"{self.approval.timeout:g} seconds" if self.approval.timeout else "its time"
            return f"Rejected, since nobody answered within {seconds} (timeout of cwl-ui:Approval)."
        reason = str((event.get("params_input") or {}).get(REASON) or "").strip()[:MAX_REASON]
        return f"Rejected by {user['name']}: {reason or 'no reason was given'}"


def _page_of(dag_id: str, run_id: str) -> str:
    """Return the whole address of a run's page, as the worker knows it; nothing if no address is configured."""
    from airflow.configuration import conf

    base = conf.get("api", "base_url", fallback="").rstrip("/")
    return f"{base}{addresses.airflow_run_tab(dag_id, run_id)}" if base else ""
