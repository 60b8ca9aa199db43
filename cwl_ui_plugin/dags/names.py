"""Names that users and clients rely on (contracts), in one place."""

from __future__ import annotations

import re

from cwl_ui_plugin.cwl import task_names

BUNDLE = "cwl"
"""The Dag bundle that turns the store into Dags."""
VERSION_FILE = ".version"
"""The file beside the Dag files of the bundle that says of which version of it they are."""
TAG = "cwl"
DISPATCHER = task_names.DISPATCHER
GATHERER = task_names.GATHERER
CLEAN_DAG_RUN = "clean_dag_run"
STOP_TASK = CLEAN_DAG_RUN
"""The task of that Dag is called as the predecessors called theirs: reports name it."""
STOP_RESULT_KEY = "stop_result"
"""XCom key under which the API server answers a task of ``clean_dag_run``."""
ERROR_KEY = "cwl_error"
"""XCom key of a failed task: ``{"message", "kind", "exit_code", "stderr"}``."""
STATISTICS_KEY = "cwl:statistics"
"""Stands among the values that a step hands on: ``{"command", "exit_code", "seconds", "cpu_seconds", ...}``."""
RETURN_KEY = "return_value"
"""Airflow's XCom key of what a task returns."""
SKIPPED = "cwl:skipped"
"""Stands among the values of a subworkflow's inputs where its step is skipped: its steps are, too."""
ELEMENTS_LABEL = "cwl_elements"
"""What Airflow names a mapped task instance by: the elements that it runs."""
APPROVE = "Approve"
"""What the answer to an approval is, if it is yes."""
_NAMED_REVISION = re.compile(r"^CWL .*, version `(?P<revision>[^`\s]+)`\Z", re.MULTILINE)


def revision_named_in(documentation: str | None) -> str | None:
    """Return the revision of the workflow that a Dag was made from, by its documentation; None for other Dags."""
    found = _NAMED_REVISION.search(documentation or "")
    return found["revision"] if found else None
