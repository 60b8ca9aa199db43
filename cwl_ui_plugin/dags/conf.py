"""The conf of a run, as the tasks read it: ``{"job": {...}, "check_payload"?: "<JWT>"}``."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from cwl_ui_plugin import config
from cwl_ui_plugin.cwl.errors import JobError
from cwl_ui_plugin.signing import triggers
from cwl_ui_plugin.signing.errors import SigningError
from cwl_ui_plugin.signing.triggers import TriggerPolicy

log = logging.getLogger(__name__)
SIGNATURE = "check_payload"
OUTPUT_FOLDER = ("output_folder", "outputs_folder")
TMP_FOLDER = "tmp_folder"


@dataclass(frozen=True)
class RunConf:
    """What a run was asked for: the job, and the folders for outputs and intermediate files if it names any."""

    job: dict[str, Any]
    output_folder: Path | None
    tmp_folder: Path | None


def read_conf(
    conf: dict[str, Any] | None,
    *,
    run_id: str,
    dag_id: str | None = None,
    verify: bool = True,
    created: datetime | None = None,
) -> RunConf:
    """Read the conf of a run; with ``[cwl] require_signed_conf``, verify its signature first.

    ``created`` is when the run was: its signature must have been valid then, however long it had to wait.

    Raises:
        JobError: no job in it, a signature that is missing or wrong, or a folder that is not allowed.

    """
    conf = conf or {}
    if verify and config.flag("require_signed_conf"):
        _verify(conf, dag_id, run_id, created)
    job = conf.get("job", {})
    if not isinstance(job, dict):
        raise JobError('The conf must be {"job": {...}}, with the inputs of the workflow in "job".')
    folder = next((job[name] for name in OUTPUT_FOLDER if job.get(name)), None)
    return RunConf(
        job=job,
        output_folder=_allowed("output_folder", folder, config.outputs_folder()),
        tmp_folder=_allowed(TMP_FOLDER, job.get(TMP_FOLDER), config.tmp_folder()),
    )


def _allowed(name: str, folder: Any, base: Path) -> Path | None:
    """Return ``folder`` with links resolved if a run may write there; raise :class:`JobError` if not."""
    if not folder:
        return None
    path = (base / str(folder)).resolve()
    if not any(path.is_relative_to(root.resolve()) for root in config.output_roots()):
        raise JobError(
            f"{name} {str(folder)!r} is not inside a folder that runs may write to; "
            "an administrator can add one in [cwl] output_roots."
        )
    return path


def _verify(conf: dict[str, Any], dag_id: str | None, run_id: str, created: datetime | None) -> None:
    token = conf.get(SIGNATURE)
    if not token:
        raise JobError("Only signed runs are allowed ([cwl] require_signed_conf), and this conf has no signature.")
    signed = {key: value for key, value in conf.items() if key != SIGNATURE}
    moment = created.timestamp() if created else None
    try:
        verified = triggers.verify_trigger(token, _policy(), run_id=run_id, conf=signed, dag_id=dag_id, at=moment)
    except SigningError as error:
        raise JobError(f"The signature of this run's conf does not hold: {error}") from error
    log.info("The conf is signed by %s (%s).", verified.fingerprint, verified.algorithm)
    if verified.is_weak:
        log.warning("That is a weak RSA key, which [cwl] allow_weak_keys accepts: it can be broken.")


def _policy() -> TriggerPolicy:
    from airflow.sdk import Variable

    def variable(name: str) -> str | None:
        value = Variable.get(name, default=None)
        return None if value is None else str(value)

    policy = triggers.read_policy(
        variable,
        allow_weak=config.flag("allow_weak_keys"),
        require_exp=config.flag("require_exp"),
        require_dag_id=config.flag("require_dag_id"),
    )
    if policy is None:
        raise JobError(
            "Only signed runs are allowed ([cwl] require_signed_conf), "
            "but the Variable jwt_backend_public_key is not set."
        )
    return policy
