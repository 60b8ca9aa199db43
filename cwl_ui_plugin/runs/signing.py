"""Signatures of triggers in the API server: the policy, verifying, signing with the server's key, what is kept."""

from __future__ import annotations

import json
import logging
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from cwl_ui_plugin import config
from cwl_ui_plugin.runs.errors import BadRequest
from cwl_ui_plugin.runs.models import RunSignature, iso
from cwl_ui_plugin.signing import keys, triggers
from cwl_ui_plugin.signing.algorithms import parse_algorithms
from cwl_ui_plugin.signing.errors import BadAlgorithm, BadKey, SigningError
from cwl_ui_plugin.signing.triggers import TriggerPolicy

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun
    from sqlalchemy.orm import Session

log = logging.getLogger(__name__)
SIGNING_KEY = "process_sign_private_key"
EVENT = "cwl_signed_trigger"
REFUSED = "Failed to verify data"
LIFETIME_SECONDS = 3600
"""How long a signature of the server or of a page holds, where signatures must expire."""


def variable(name: str) -> str | None:
    """Return an Airflow Variable, or None where it is not set."""
    from airflow.models.variable import Variable

    value = Variable.get(name, default_var=None)
    return None if value is None else str(value)


def trigger_policy() -> TriggerPolicy | None:
    """Return how triggers must be signed, or None where no key is set.

    Raises:
        BadAlgorithm: the Variable with the algorithms can't be used.

    """
    return triggers.read_policy(
        variable, allow_weak=config.flag("allow_weak_keys"), require_exp=config.flag("require_exp")
    )


def verify(token: Any, policy: TriggerPolicy, *, run_id: str, conf: Any) -> RunSignature:
    """Return who has signed exactly this run_id and conf; raise :class:`SigningError`."""
    verified = triggers.verify_trigger(token, policy, run_id=run_id, conf=conf)
    if verified.is_weak:
        log.warning(
            "The run %s was signed with a weak RSA key (%s), which [cwl] allow_weak_keys accepts: it can be broken. "
            "Give the client a key of at least %d bits.",
            run_id,
            verified.fingerprint,
            keys.SMALLEST_RSA,
        )
    return RunSignature(fingerprint=verified.fingerprint, algorithm=verified.algorithm)


def reason(error: SigningError) -> str:
    """Return what a caller is told; what is wrong with the server's own settings is for its administrator."""
    if isinstance(error, (BadKey, BadAlgorithm)):
        log.error("Signed triggers can't be verified: %s", error)
        return f"{REFUSED}: the server's key can't be used; tell its administrator"
    return f"{REFUSED}: {error}"


def sign_conf(run_id: str, conf: dict[str, Any]) -> str:
    """Return the signature of the server's own key over a run_id and a conf; raise :class:`BadRequest`."""
    private = variable(SIGNING_KEY)
    if not private:
        raise BadRequest(f"The server has no key to sign with (Variable {SIGNING_KEY}); sign with a key of your own.")
    lifetime = LIFETIME_SECONDS if config.flag("require_exp") else None
    try:
        algorithm = algorithm_of(private)
        allow_weak = config.flag("allow_weak_keys")
        return triggers.sign_trigger(run_id, conf, private, algorithm, lifetime=lifetime, allow_weak=allow_weak)
    except SigningError as error:
        raise BadRequest(f"The server's key can't sign (Variable {SIGNING_KEY}): {error}") from error


def algorithm_of(private: str) -> str:
    """Return what a key signs triggers with: the first of the algorithms of triggers that it fits.

    Raises:
        SigningError: it fits none of them, or can't be used.

    """
    algorithms = parse_algorithms(variable(triggers.ALGORITHM) or variable(triggers.OLD_ALGORITHM))
    return keys.fitting_algorithm(private, algorithms, allow_weak=config.flag("allow_weak_keys"))


def was_used(session: Session, dag_id: str, run_id: str) -> bool:
    """Whether a signed trigger of this run was taken before, even if its run was deleted since."""
    from cwl_ui_plugin.reports.tables import SignedTrigger

    return session.get(SignedTrigger, (dag_id, run_id)) is not None


def keep(session: Session, run: DagRun, signature: RunSignature, user: str) -> None:
    """Keep for ever that a signed run_id was used, and write into Airflow's audit log by whom."""
    from airflow.models.log import Log

    from cwl_ui_plugin.reports.tables import SignedTrigger

    kept = SignedTrigger(
        dag_id=run.dag_id,
        run_id=run.run_id,
        run_key=run.id,
        algorithm=signature.algorithm,
        fingerprint=signature.fingerprint,
        created_at=datetime.now(timezone.utc),
    )
    extra = json.dumps({"fingerprint": signature.fingerprint, "algorithm": signature.algorithm})
    session.add_all([kept, Log(event=EVENT, dag_id=run.dag_id, run_id=run.run_id, owner=user, extra=extra)])
    session.flush()


def signature_of(session: Session, run: DagRun) -> RunSignature | None:
    """Return who signed a run, as it was verified when the run was created."""
    from cwl_ui_plugin.reports.tables import SignedTrigger

    kept = session.get(SignedTrigger, (run.dag_id, run.run_id))
    if kept is None or kept.run_key != run.id:
        return None
    return RunSignature(kept.fingerprint, kept.algorithm, verified_at=iso(kept.created_at))
