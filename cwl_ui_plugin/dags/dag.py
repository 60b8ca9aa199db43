"""From a compiled document to a Dag."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import attrs
from airflow.sdk import DAG, Param, get_parsing_context
from airflow.sdk.definitions.param import ParamsDict
from airflow.sdk.definitions.timetables.simple import NullTimetable

from cwl_ui_plugin.cwl.plan import Plan
from cwl_ui_plugin.dags import names
from cwl_ui_plugin.dags.dag_files import calling_file, document_of_file
from cwl_ui_plugin.dags.operators import Document
from cwl_ui_plugin.dags.params import params_of, with_own
from cwl_ui_plugin.dags.resources import ExecutorRules
from cwl_ui_plugin.dags.shown_names import default_arguments, display_name
from cwl_ui_plugin.dags.tasks import add_tasks
from cwl_ui_plugin.library.versions import StoredVersion

_AIRFLOWS_TIMETABLE: Any = attrs.fields(DAG).timetable.default
_UNSCHEDULED = (NullTimetable, type(None))


@attrs.define(init=False, repr=False, eq=False, slots=False)  # as DAG itself, for a field of our own
class CWLDAG(DAG):
    """A Dag that runs a CWL document.

    In a Dag file, ``CWLDAG(workflow="x.cwl", dag_id="x")`` reads the document (relative to that file), validates and
    compiles it when it is new or was changed, and makes a Dag of it. All other arguments are those of
    :class:`airflow.sdk.DAG`; the defaults differ in that the Dag has no schedule and is not paused.

    ``version`` and ``only`` are for the Dags of stored workflows, and not for Dag files.

    Raises:
        DocumentError: the document can't be used; Airflow shows the message as an import error.

    """

    timetable: Any = attrs.field(init=False)

    @timetable.default
    def _timetable_of_schedule(self) -> object:
        """Take the usual schedule as it is: before Airflow does, it loads its timetables, for longer than all else."""
        return self.schedule if isinstance(self.schedule, NullTimetable) else _AIRFLOWS_TIMETABLE.factory(self)

    def __init__(
        self,
        dag_id: str,
        workflow: str | Path | None = None,
        *,
        version: StoredVersion | None = None,
        only: str | None = None,
        **kwargs: Any,
    ) -> None:
        dag_file = calling_file()
        found = version or _named_document(workflow, dag_file, dag_id)
        plan = found.plan
        tags = {names.TAG, *(kwargs.get("tags") or ())}
        rules = ExecutorRules.configured(dag_id, tags)
        settings: dict[str, Any] = {
            "schedule": NullTimetable(),  # as None, which makes Airflow import its cron timetables
            "catchup": False,
            "is_paused_upon_creation": False,
            "description": plan.label,
            "doc_md": _documentation(plan, found.revision),
            "dag_display_name": display_name(plan, dag_id),
            **kwargs,
            "default_args": {**default_arguments(found), **(kwargs.get("default_args") or {})},
            "tags": tags,
        }
        for name, most in rules.dag_arguments().items():
            settings[name] = min(most, settings.get(name) or most)
        is_scheduled = not isinstance(settings["schedule"], _UNSCHEDULED)
        given = found.schedule.job if found.schedule and is_scheduled else ()
        params = with_own(
            _params(dag_id, plan, is_scheduled=is_scheduled, given=given), kwargs.get("params"), plan.inputs
        )
        self.__attrs_init__(dag_id, **settings)
        self.fileloc = dag_file
        self.version = found
        self.own_params = frozenset(self.params)
        add_tasks(self, plan, Document.of(found, found.schedule), rules, only)
        # Not before: Airflow copies those of a Dag for each of its tasks. And as Airflow's own code does it: what is
        # right as it is made needs no check when the Dag is read.
        others = {name: self.params.get_param(name) for name in self.params if name not in params}
        object.__setattr__(self, "params", ParamsDict({**params, **others}))


def _params(dag_id: str, plan: Plan, *, is_scheduled: bool, given: Collection[str]) -> dict[str, Param]:
    """Return the Params for Airflow's forms; none in the process of a task, which would check each of them.

    Airflow's server has checked them when the run was created, and the first task checks the job as a whole.
    """
    context = get_parsing_context()
    if context.task_id and context.dag_id == dag_id:
        return {}
    return params_of(plan, scheduled=is_scheduled, template=given)


def _documentation(plan: Plan, revision: str) -> str:
    """Text for Airflow's Dag page. It names the version, so that each version is one of Airflow's, too."""
    parts = [f"# {plan.label}" if plan.label else "", plan.doc or ""]
    parts.append(f"CWL {plan.cwl_version} {plan.kind} `{plan.main}`, version `{revision}`")
    return "\n\n".join(part for part in parts if part)


def _named_document(workflow: str | Path | None, dag_file: str, dag_id: str) -> StoredVersion:
    if workflow is None:
        raise TypeError("CWLDAG needs the path of a CWL document: CWLDAG(workflow='x.cwl', dag_id='x').")
    return document_of_file(workflow, dag_file, dag_id)
