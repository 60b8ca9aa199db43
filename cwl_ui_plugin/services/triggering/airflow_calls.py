"""The conf of a run that Airflow's own API is about to create: checked as the conf of our own runs is.

Airflow checks values by the Params of the Dag; not whether required inputs are there, since ``conf["job"]`` may give
them, nor keys that it does not know, nor files.
"""

from __future__ import annotations

from collections.abc import Mapping

from cwl_ui_plugin import config
from cwl_ui_plugin.cwl.errors import JobError
from cwl_ui_plugin.cwl.jobs import checks
from cwl_ui_plugin.dags.access.file_access import file_rules
from cwl_ui_plugin.dags.access.permits import UNGRANTED, check_narrow
from cwl_ui_plugin.library.errors import NotCompiled
from cwl_ui_plugin.services.errors import InvalidJob
from cwl_ui_plugin.services.triggering.job_of_conf import job_of_conf
from cwl_ui_plugin.services.workflows.details import is_cwl_dag, stored_version


def check_conf(dag_id: str, conf: object, *, is_whole: bool = True) -> None:
    """Raise :class:`InvalidJob` for a conf that no run of a CWL Dag can have; other Dags are none of our business.

    ``is_whole``: no schedule gives what is missing. What can't be told here, the first task of the run checks.
    """
    if not (conf is None or isinstance(conf, dict)) or not is_cwl_dag(dag_id):
        return
    try:
        _check(dag_id, conf or {}, is_whole)
    except JobError as error:
        raise InvalidJob(error.message, error.problems) from error
    except NotCompiled:
        return


def _check(dag_id: str, conf: Mapping[str, object], is_whole: bool) -> None:
    version = stored_version(dag_id)
    job: Mapping[str, object] = job_of_conf(dag_id, version, conf)
    check_narrow(conf)
    if version is not None:
        rules, allowed = file_rules(not_allowed=UNGRANTED), config.flag("allow_job_requirements")
        checks.check_job(version.plan, job, rules, allow_requirements=allowed, is_whole=is_whole)
