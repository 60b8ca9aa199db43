"""``CWLDAG`` with the arguments and methods that it had in cwl-airflow-parser and in CWL-Airflow."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from airflow.sdk import BaseOperator

from cwl_ui_plugin.dags.dag import CWLDAG as NewCWLDAG
from cwl_ui_plugin.library.compressed import is_compressed, kept_file
from cwl_ui_plugin_legacy.ends import CWLJobDispatcher, CWLJobGatherer

__all__ = ["CWLDAG"]

RENAMED = {"schedule_interval": "schedule", "concurrency": "max_active_tasks"}
"""Arguments of Airflow's own DAG that have another name in Airflow 3."""
GONE = ("default_view", "orientation", "full_filepath", "sla_miss_callback")
OF_CWLTOOL = ("cwl", "tmp_folder", "basedir", "quiet", "strict", "on_error", "skip_schemas")
"""What ``default_args`` had for cwltool; ``[cwl]`` of airflow.cfg says such things now, for all Dags."""
_FIRST, _LAST = "CWLJobDispatcher", "CWLJobGatherer"


class CWLDAG(NewCWLDAG):
    """A Dag that runs a CWL document: its path, or compressed text, is ``workflow`` or ``cwl_workflow``.

    In cwl-airflow-parser ``default_args`` could have the latter.

    Raises:
        TypeError: an argument, or a dispatcher or gatherer of the caller's own, that can't be taken.
        DocumentError: the document can't be used.

    """

    def __init__(
        self,
        dag_id: str | None = None,
        workflow: str | None = None,
        *more: object,
        cwl_workflow: str | None = None,
        dispatcher: CWLJobDispatcher | CWLJobGatherer | None = None,
        gatherer: CWLJobDispatcher | CWLJobGatherer | None = None,
        **options: Any,
    ) -> None:
        if len(more) == 1 and isinstance(more[0], dict):  # cwl-airflow-parser's third
            options.setdefault("default_args", more[0])
        elif not all(isinstance(end, (CWLJobDispatcher, CWLJobGatherer, type(None))) for end in more):
            raise TypeError("Give CWLDAG its arguments by name: CWLDAG(workflow='x.cwl', dag_id='x', ...).")
        for end in (dispatcher, gatherer):
            _check_end(end)
        document = workflow or cwl_workflow or (options.get("default_args") or {}).get("cwl_workflow")
        if not document:
            raise TypeError("CWLDAG needs the path of a CWL document: CWLDAG(workflow='x.cwl', dag_id='x').")
        name = dag_id or _name_of(document)
        ignored = _translate(options)
        super().__init__(name, kept_file(document) if is_compressed(document) else document, **options)
        _warn(name, document, ignored)

    @property
    def dispatcher(self) -> BaseOperator:
        """The first task."""
        return self.get_task(_FIRST)

    @property
    def gatherer(self) -> BaseOperator:
        """The last task."""
        return self.get_task(_LAST)

    def create(self) -> None:
        """Do nothing: the tasks are there already."""

    def add(self, task: object, to: str | None = None) -> None:
        """Take the first and the last task for those that are there; put any other before, or after them."""
        if isinstance(task, (CWLJobDispatcher, CWLJobGatherer)):
            return
        if not isinstance(task, BaseOperator):
            raise TypeError(f"{type(task).__name__} is no task of Airflow; a CWL Dag can't have it.")
        if to == "top":
            task.set_downstream(self.dispatcher)
        elif to == "bottom":
            task.set_upstream(self.gatherer)


def _check_end(end: object) -> None:
    if end is not None and not isinstance(end, (CWLJobDispatcher, CWLJobGatherer)):
        raise TypeError(
            f"{type(end).__name__} can't be a dispatcher or a gatherer: cwl-ui-plugin makes these tasks. Write "
            "`task >> dag.get_task('CWLJobDispatcher')`, or `dag.get_task('CWLJobGatherer') >> task`."
        )


def _name_of(document: str) -> str:
    """Return the dag_id that cwl-airflow-parser made of a path."""
    if is_compressed(document):
        raise TypeError("A compressed workflow has no name: give CWLDAG a dag_id.")
    return Path(document.partition("#")[0]).name.replace(".cwl", "").replace(".", "_dot_")


def _translate(options: dict[str, Any]) -> list[str]:
    """Make arguments of Airflow 3 of those of Airflow 1 and 2; return what means nothing any more."""
    ignored = [name for name in GONE if options.pop(name, None) is not None]
    for old, new in RENAMED.items():
        value = options.pop(old, None)
        if value is not None and value != "@once":
            options.setdefault(new, value)
    given = dict(options.get("default_args") or {})
    given.pop("cwl_workflow", None)
    ignored += [f"default_args[{name!r}]" for name in OF_CWLTOOL if given.pop(name, None) is not None]
    options["default_args"] = given
    return ignored


def _warn(dag_id: str, document: str, ignored: list[str]) -> None:
    path = "x.cwl" if is_compressed(document) else str(document)
    text = (
        f"The Dag file of {dag_id!r} is written for a predecessor of cwl-ui-plugin. Write `from cwl_ui_plugin import "
        f"CWLDAG` and `CWLDAG(workflow={path!r}, dag_id={dag_id!r})`, without create() and add(), or let "
        "`cwl-ui-plugin migrate-dags` do so."
    )
    if ignored:
        text += f" These mean nothing any more: {', '.join(ignored)}; see the options of [cwl] in airflow.cfg."
    warnings.warn(text, DeprecationWarning, stacklevel=3)
