"""The job that a conf stands for, where a run is created: by the rule of ``dags.run_job``, with this layer's errors."""

from __future__ import annotations

from collections.abc import Mapping

from cwl_ui_plugin.cwl.errors import JobError
from cwl_ui_plugin.dags.run_job import MEANINGLESS, check_form, given, run_job, strangers
from cwl_ui_plugin.library.versions import StoredVersion
from cwl_ui_plugin.services.errors import InvalidJob


def job_of_conf(dag_id: str, version: StoredVersion | None, conf: Mapping[str, object]) -> dict[str, object]:
    """Return the job of a conf; without a version, of a Dag file, paths of files stay as they are.

    Raises:
        InvalidJob: the job is no mapping, or the conf has keys that mean nothing.

    """
    try:
        if version is not None:
            return run_job(version.plan.inputs, conf)
        check_form(conf)
        problems = strangers(conf, param_names(dag_id))
        if problems:
            raise JobError(MEANINGLESS, problems)
        return given(conf)
    except JobError as error:
        raise InvalidJob(error.message, error.problems) from error


def param_names(dag_id: str) -> list[str]:
    """Return the names of the Params of a Dag, as Airflow has stored it."""
    from airflow.models.dagbag import DBDagBag
    from airflow.utils.session import create_session

    with create_session(scoped=False) as session:
        dag = DBDagBag().get_latest_version_of_dag(dag_id, session=session)
        return list(dag.params) if dag is not None else []
