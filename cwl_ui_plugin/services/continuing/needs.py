"""What a run that failed needs to go on: files that its earlier tasks have made, and its secrets.

Intermediate files of a failed run are kept for a while, those of a stopped one are not. What no task could read any
more was removed while the run went on; a task that runs again may read only what is there.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from cwl_ui_plugin.cwl.plan import Plan, read_plan
from cwl_ui_plugin.cwl.readers import flows
from cwl_ui_plugin.dags.folders import run_folder
from cwl_ui_plugin.dags.names import DISPATCHER
from cwl_ui_plugin.services.cleaning.unread_files import TASK_NAMES, Standing, read_yet, standing_of
from cwl_ui_plugin.services.continuing.models import MissingFile
from cwl_ui_plugin.services.workflows.details import pinned_workflow

MAX_NAMED = 20
SECRETS = "the run's secrets"


def missing(dag_id: str, run_id: str) -> tuple[MissingFile, ...]:
    """Return what is gone of what the tasks that have not ended well may read; the first :data:`MAX_NAMED`."""
    standing = standing_of((dag_id, run_id))
    version = pinned_workflow(dag_id, standing.version)
    has_begun = any(one.task_id == DISPATCHER for one in standing.ended)
    if version is None or not has_begun:
        return ()  # of a Dag file nobody knows who reads what; a first task that runs again needs nothing
    plan = read_plan(version.compiled)
    found = dict.fromkeys([*_secrets(dag_id, run_id, plan), *_files(dag_id, run_id, plan, standing)])
    return tuple(found)[:MAX_NAMED]


def _secrets(dag_id: str, run_id: str, plan: Plan) -> Iterator[MissingFile]:
    is_secret = any(item.is_secret for item in plan.inputs)
    if is_secret and not run_folder.secrets_file(dag_id, run_id).exists():
        yield MissingFile(SECRETS, DISPATCHER)


def _files(dag_id: str, run_id: str, plan: Plan, standing: Standing) -> Iterator[MissingFile]:
    made = run_folder.run_tmp(dag_id, run_id)
    roots = (made, made.resolve())
    ended = {one[:2] for one in standing.ended}  # the others make theirs anew
    try:
        for maker, path in read_yet((dag_id, run_id), standing, flows(plan, TASK_NAMES)):
            if maker in ended and not os.path.lexists(path):
                is_made = any(path.is_relative_to(root) for root in roots)
                yield MissingFile(path.name, maker[0] if is_made else None)
    except ValueError as error:
        yield MissingFile(str(error), None)
