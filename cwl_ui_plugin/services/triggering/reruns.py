"""Running again what was run before: the same version of the workflow with the same job, as a new run."""

from __future__ import annotations

from collections.abc import Mapping

from cwl_ui_plugin.dags.folders.placement import OUTPUT_FOLDER
from cwl_ui_plugin.services.errors import Conflict, InvalidJob, NotFound, NotVerified
from cwl_ui_plugin.services.inputs.access import InputAccess
from cwl_ui_plugin.services.monitoring import queries
from cwl_ui_plugin.services.run_models import RunSource, RunSummary
from cwl_ui_plugin.services.triggering import triggers
from cwl_ui_plugin.services.triggering.server_signing import signed_conf
from cwl_ui_plugin.services.workflows.details import is_cwl_dag, stored_version

EDIT = "Use “Edit and run again” instead."


def run_again(dag_id: str, run_id: str, *, user: str, via: str, files: InputAccess | None = None) -> RunSummary:
    """Start a run like an earlier one, and return it.

    The outputs get a folder of their own, also where the earlier run named one. The signature of the earlier run is for
    that run alone; the new one is signed with the server's key, if it has one.

    Raises:
        NotFound: no such run, or its workflow was deleted.
        Conflict: it can't be run as it was: its version is gone, it has secrets of another user, or only signed runs
            are allowed and the server can't sign.
        InvalidJob: inputs are gone, or this user may not use them (``files``); one problem for each.

    """
    source = queries.run_source(dag_id, run_id)
    if not is_cwl_dag(dag_id):
        raise Conflict(f"{dag_id!r} is not a CWL workflow: start it anew on Airflow's page of the Dag.")
    _check_version(source)
    check_secrets(source, user)
    new_id = triggers.new_run_id()
    conf = signed(dag_id, new_id, {"job": without_folder(source.job)})
    try:
        return triggers.trigger(
            dag_id, conf=conf, run_id=new_id, user=user, via=via, files=files, version=source.version
        )
    except InvalidJob as error:
        text = f"The run {run_id!r} can't be run as it was: its inputs have changed, are gone, or are not yours. {EDIT}"
        raise InvalidJob(text, error.problems) from error


def _check_version(source: RunSource) -> None:
    if source.version is None:
        return
    if stored_version(source.dag_id) is None:
        raise NotFound(f"The workflow {source.dag_id!r} was deleted. Restore it on its page, and run this again.")
    if stored_version(source.dag_id, source.version) is None:
        raise Conflict(
            f"The version {source.version[:12]} of {source.dag_id!r} that this run used is gone. {EDIT} "
            "It takes the current version."
        )


def check_secrets(source: RunSource, user: str) -> None:
    """Let nobody use what somebody else gave as a secret."""
    secret = sorted(set(source.secrets) & set(source.job))
    if secret and source.user != user:
        names = ", ".join(secret)
        raise Conflict(f"The inputs {names} of this run are secrets of {source.user or 'somebody else'}. {EDIT}")


def without_folder(job: Mapping[str, object]) -> dict[str, object]:
    """Return a job for a run that delivers into a folder of its own."""
    return {name: value for name, value in job.items() if name not in OUTPUT_FOLDER}


def signed(dag_id: str, run_id: str, conf: dict[str, object]) -> dict[str, object]:
    """Return a conf signed with the server's key, if it has one; raise :class:`Conflict` where it needs one."""
    try:
        return signed_conf(dag_id, run_id, conf)
    except NotVerified as error:
        raise Conflict(f"{error.message} {EDIT} There you can sign with a key of your own.") from error
