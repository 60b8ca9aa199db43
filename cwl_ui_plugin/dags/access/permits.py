"""Whether a task may execute anything, and with which files: every task of a CWL Dag asks before it begins.

A run that the plugin's services created carries a grant (``grants``). One of a schedule that was saved there may read
what its author might, as long as nobody has added to its job (``schedule_grants``). One that was created otherwise
(Airflow's button or API, another Dag) gets what everybody may have: shared files, default folders, and where only
signed runs are allowed it must carry a caller's signature that holds at this moment.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cwl_ui_plugin import config
from cwl_ui_plugin.cwl.errors import JobError
from cwl_ui_plugin.cwl.jobs.checks import FOLDERS
from cwl_ui_plugin.cwl.jobs.types import NOT_ALLOWED, FileRules
from cwl_ui_plugin.dags.access.file_access import file_rules
from cwl_ui_plugin.dags.access.grants import Continued, Grant, read_grant
from cwl_ui_plugin.dags.access.schedule_grants import granted_roots
from cwl_ui_plugin.dags.conf import GRANT, SIGNATURE
from cwl_ui_plugin.dags.run_job import given
from cwl_ui_plugin.library.schedules import Schedule
from cwl_ui_plugin.signing import triggers
from cwl_ui_plugin.signing.errors import SigningError
from cwl_ui_plugin.signing.triggers import TriggerPolicy
from cwl_ui_plugin.variables import TRIGGER_KEY

log = logging.getLogger(__name__)
UNGRANTED = (
    "is not in a folder that everybody's inputs may come from. To use uploads and outputs, start the run on the CWL "
    "page of its workflow, or with the API or command of cwl-ui-plugin; or ask an administrator for the folder ([cwl] "
    "input_roots)"
)
UNGRANTED_PART = (
    "is not in a folder that everybody's inputs may come from, nor an output of this run. The author of the Dag can "
    "allow its folder (input_roots=[...] in the Dag file), an administrator can do so for all ([cwl] input_roots)"
)
ONLY_SIGNED = "Only signed runs are allowed ([cwl] require_signed_conf)"


@dataclass(frozen=True)
class Permit:
    """What a run may use; ``roots`` are folders that are not everybody's, and None where the run has no grant."""

    roots: tuple[Path, ...] | None = None
    not_allowed: str = NOT_ALLOWED
    """What is said about a file that is elsewhere."""
    continued: Continued | None = None
    """The run that this one goes on from."""

    def file_rules(self) -> FileRules:
        """Return where the files of the run's job may be."""
        if self.roots is None:
            return file_rules(not_allowed=UNGRANTED)
        return file_rules(self.roots, not_allowed=self.not_allowed)


def permit(conf: object, *, dag_id: str, run_id: str, first: bool = False, schedule: Schedule | None = None) -> Permit:
    """Return what a run may do. The ``first`` task also verifies the caller's signature anew, with the keys of today.

    ``schedule`` is the one that Airflow created the run from (``dags.scheduling.schedule_of``).

    Raises:
        JobError: it may do nothing: a grant that does not hold, a signature that is missing or wrong, or folders that
            were not granted.

    """
    conf = conf if isinstance(conf, Mapping) else {}
    grant = read_grant(conf, dag_id=dag_id, run_id=run_id)
    if config.flag("require_signed_conf"):
        _check_signed(conf, grant, dag_id, run_id, first)
    if grant is None:
        check_narrow(conf)
        adds_nothing = all(value is None for value in conf.values())  # Airflow's forms send null for what is not given
        return Permit(granted_roots(dag_id, schedule)) if schedule and adds_nothing else Permit()
    return Permit(grant.roots, continued=grant.continued)


def permit_part(conf: object, *, dag_id: str, run_id: str, roots: tuple[Path, ...]) -> Permit:
    """Return what a part of a Dag that somebody wrote may do, with the files in ``roots``, which that Dag's code names.

    Whoever starts such a run has no say in it: neither its job nor a grant is read from the conf.

    Raises:
        JobError: only signed runs are allowed, and the conf of this one has no signature that holds now.

    """
    if config.flag("require_signed_conf"):
        _verify(conf if isinstance(conf, Mapping) else {}, dag_id, run_id, None)
    return Permit(roots, UNGRANTED_PART)


def _check_signed(conf: Mapping[str, object], grant: Grant | None, dag_id: str, run_id: str, first: bool) -> None:
    if grant is None:
        _verify(conf, dag_id, run_id, None)
    elif grant.signed_by is None:
        raise JobError(f"{ONLY_SIGNED}, and this one was started without a signature.")
    elif first:
        _verify(conf, dag_id, run_id, grant.at)


def check_narrow(conf: Mapping[str, object]) -> None:
    """Raise :class:`JobError` for a conf without a grant that names folders."""
    job = given(conf)
    named = [name for name in FOLDERS if job.get(name)]
    if named:
        raise JobError(
            f"The job names {' and '.join(named)}. Only a run that is started on the pages of CWL, or with their API "
            "or command, may do so, not one from Airflow's own button or API or from another Dag. Leave it out."
        )


def _verify(conf: Mapping[str, object], dag_id: str, run_id: str, at: float | None) -> None:
    """Verify the caller's signature as of a moment, or of now."""
    token = conf.get(SIGNATURE)
    if not token:
        raise JobError(f"{ONLY_SIGNED}, and this conf has no signature.")
    signed = {key: value for key, value in conf.items() if key not in (SIGNATURE, GRANT)}
    try:
        verified = triggers.verify_trigger(
            token, _policy(), run_id=run_id, conf=signed, dag_id=dag_id, at=at, had_workflow=at is not None
        )
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
        longest=config.max_call_size(),
    )
    if policy is None:
        raise JobError(f"{ONLY_SIGNED}, but the Variable {TRIGGER_KEY} is not set.")
    return policy
