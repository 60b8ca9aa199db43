"""``@task.cwl``: a Python function that makes the job of a CWL document, as one task."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk.bases.decorator import DecoratedOperator, TaskDecorator, determine_kwargs, task_decorator_factory
from airflow.sdk.definitions.context import context_merge

from cwl_ui_plugin.dags.operators.whole import CwlToolOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from cwl_ui_plugin.library.versions import StoredVersion


class DecoratedCwlOperator(DecoratedOperator, CwlToolOperator):
    """Runs a CWL document on the job that a Python function returns."""

    template_fields: Sequence[str] = DecoratedOperator.template_fields
    custom_operator_name = "@task.cwl"

    def __init__(
        self,
        *,
        python_callable: Callable[..., Mapping[str, object]],
        op_args: Collection[object] | None = None,
        op_kwargs: Mapping[str, object] | None = None,
        **kwargs: Any,
    ) -> None:
        settings = {**kwargs, "multiple_outputs": True}
        super().__init__(python_callable=python_callable, op_args=op_args, op_kwargs=op_kwargs, **settings)

    def check_job_in_file(self, found: StoredVersion) -> None:
        """Leave it to the task: the function has not run yet."""

    def execute(self, context: Context) -> dict[str, object]:
        """Call the function, and run the document on the job that it returns."""
        context_merge(context, self.op_kwargs)
        kwargs = determine_kwargs(self.python_callable, self.op_args, context)
        self.job = self.python_callable(*self.op_args, **kwargs)
        return CwlToolOperator.execute(self, context)


def cwl_task(python_callable: Callable[..., object] | None = None, **kwargs: Any) -> TaskDecorator:
    """Make a function that returns a job a task that runs a CWL document on it.

    ``@cwl_task(tool="count.cwl")`` above ``def count(text): return {"text": text}``; the arguments are those of
    :class:`CwlToolOperator`, without ``job``. ``@task.cwl`` is the same.
    """
    return task_decorator_factory(
        python_callable=python_callable, decorated_operator_class=DecoratedCwlOperator, **kwargs
    )
