"""The conf of a run, as the tasks read it: ``{"job": {...}, "check_payload"?: "<JWT>"}``."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cwl_ui_plugin import config
from cwl_ui_plugin.cwl.errors import JobError
from cwl_ui_plugin.signing import triggers
from cwl_ui_plugin.signing.errors import SigningError
from cwl_ui_plugin.signing.triggers import TriggerPolicy

log = logging.getLogger(__name__)
SIGNATURE = "check_payload"


@dataclass(frozen=True)
class RunConf:
    """What a run was asked for; what folders its job names is read by :mod:`cwl_ui_plugin.dags.folders`."""

    job: dict[str, Any]


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
        JobError: no job in it, or a signature that is missing or wrong.

    """
    conf = conf or {}
    if verify and config.flag("require_signed_conf"):
        _verify(conf, dag_id, run_id, created)
    job = conf.get("job", {})
    if not isinstance(job, dict):
        raise JobError('The conf must be {"job": {...}}, with the inputs of the workflow in "job".')
    return RunConf(job=job)


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
