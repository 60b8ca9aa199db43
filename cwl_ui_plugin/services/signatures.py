"""Signatures of triggers in the API server: the policy, verifying, signing with the server's key, what is kept."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from cwl_ui_plugin import config
from cwl_ui_plugin.dags.conf import SIGNATURE
from cwl_ui_plugin.reports.errors import BadTarget
from cwl_ui_plugin.reports.lookups import find_variable
from cwl_ui_plugin.services.errors import BadRequest, Conflict, NotVerified, Unavailable
from cwl_ui_plugin.services.models import iso
from cwl_ui_plugin.services.run_models import RunSignature
from cwl_ui_plugin.signing import keys, triggers
from cwl_ui_plugin.signing.algorithms import parse_algorithms
from cwl_ui_plugin.signing.errors import BadAlgorithm, BadKey, SigningError
from cwl_ui_plugin.signing.tokens import Verified
from cwl_ui_plugin.signing.triggers import TriggerPolicy
from cwl_ui_plugin.variables import SIGNING_KEY, TRIGGER_ALGORITHM, TRIGGER_KEY, look_up

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun
    from sqlalchemy.orm import Session

    from cwl_ui_plugin.reports.tables import SignedTrigger

log = logging.getLogger(__name__)
EVENT = "cwl_signed_trigger"
REFUSED = "Failed to verify data"
UNREADABLE = (
    "The Variable {} can't be read now, so nothing that may have to be signed is accepted. Try again later; if that "
    "does not help, tell the administrator of this Airflow, whose log says why."
)
LIFETIME_SECONDS = 3600
"""How long a signature of the server or of a page holds, where signatures must expire."""
LEEWAY = timedelta(minutes=1)
NO_RUN = 0
"""What is kept as the key of a run that does not exist yet; Airflow's begin with 1."""


@dataclass(frozen=True)
class VerifiedToken:
    """A token whose signature holds. It starts one run; ``content`` tells it from every other token.

    From ``expires_at`` on it is refused anyway; None for a token that never expires.
    """

    signature: RunSignature
    content: str
    expires_at: datetime | None
    verified_at: float
    """When it held, in seconds since 1970."""


def variable(name: str) -> str | None:
    """Return an Airflow Variable, or None where it is not set.

    Raises:
        Unavailable: it may be set, but can't be read: that is never taken for a key that is not there.

    """
    try:
        value = find_variable(name)[0]
    except BadTarget as error:
        log.error("%s", error)
        raise Unavailable(UNREADABLE.format(name)) from error
    return None if value is None else str(value)


def trigger_policy() -> TriggerPolicy | None:
    """Return how triggers must be signed, or None where no key is set.

    Raises:
        BadAlgorithm: the Variable with the algorithms can't be used.
        Unavailable: one of the Variables can't be read.

    """
    return triggers.read_policy(
        variable,
        allow_weak=config.flag("allow_weak_keys"),
        require_exp=config.flag("require_exp"),
        require_dag_id=config.flag("require_dag_id"),
        longest=config.max_call_size(),
    )


def is_key_set() -> bool:
    """Whether triggers must be signed: a key is set, be it one that can't be used; raise :class:`Unavailable`."""
    return bool((look_up(TRIGGER_KEY, variable) or "").strip())


def verify(token: object, policy: TriggerPolicy, *, dag_id: str | None, run_id: str, conf: object) -> VerifiedToken:
    """Return a token that is of exactly this run_id and conf, and for this Dag; raise :class:`SigningError`."""
    now = time.time()
    return _held(triggers.verify_trigger(token, policy, run_id=run_id, conf=conf, dag_id=dag_id), now, run_id)


def verify_call(token: object, policy: TriggerPolicy, fields: Mapping[str, object]) -> VerifiedToken:
    """Return a token that is of exactly these fields and expires; raise :class:`SigningError`."""
    now = time.time()
    return _held(triggers.verify_call(token, policy, fields), now, str(fields.get("run_id")))


def _held(verified: Verified, now: float, run_id: str) -> VerifiedToken:
    if verified.is_weak:
        log.warning(
            "The run %s was signed with a weak RSA key (%s), which [cwl] allow_weak_keys accepts: it can be broken. "
            "Give the client a key of at least %d bits.",
            run_id,
            verified.fingerprint,
            keys.SMALLEST_RSA,
        )
    return VerifiedToken(
        RunSignature(fingerprint=verified.fingerprint, algorithm=verified.algorithm),
        content=triggers.content_of(verified.claims),
        expires_at=_end_of(verified.claims.get("exp")),
        verified_at=now,
    )


def verified(dag_id: str, run_id: str, conf: Mapping[str, object]) -> VerifiedToken | None:
    """Return who signed a conf; None where it is not signed, or there is no key to verify it with.

    Raises:
        NotVerified: the signature does not hold, or is not of this run.

    """
    token = conf.get(SIGNATURE)
    if not token:
        return None
    signed = {name: value for name, value in conf.items() if name != SIGNATURE}
    try:
        policy = trigger_policy()
        return verify(token, policy, dag_id=dag_id, run_id=run_id, conf=signed) if policy else None
    except SigningError as error:
        raise NotVerified(reason(error)) from error


def reason(error: SigningError) -> str:
    """Return what a caller is told; what is wrong with the server's own settings is for its administrator."""
    if isinstance(error, (BadKey, BadAlgorithm)):
        log.error("Signed triggers can't be verified: %s", error)
        return f"{REFUSED}: the server's key can't be used; tell its administrator"
    return f"{REFUSED}: {error}"


def sign_conf(dag_id: str, run_id: str, conf: Mapping[str, object]) -> str:
    """Return the signature of the server's own key over a run of a Dag and its conf; raise :class:`BadRequest`."""
    private = variable(SIGNING_KEY)
    if not private:
        raise BadRequest(f"The server has no key to sign with (Variable {SIGNING_KEY}); sign with a key of your own.")
    lifetime = LIFETIME_SECONDS if config.flag("require_exp") else None
    try:
        algorithm = algorithm_of(private)
        allow_weak = config.flag("allow_weak_keys")
        return triggers.sign_trigger(
            run_id, conf, private, algorithm, dag_id=dag_id, lifetime=lifetime, allow_weak=allow_weak
        )
    except SigningError as error:
        raise BadRequest(f"The server's key can't sign (Variable {SIGNING_KEY}): {error}") from error


def algorithm_of(private: str) -> str:
    """Return what a key signs triggers with: the first of the algorithms of triggers that it fits.

    Raises:
        SigningError: it fits none of them, or can't be used.

    """
    algorithms = parse_algorithms(look_up(TRIGGER_ALGORITHM, variable))
    return keys.fitting_algorithm(private, algorithms, allow_weak=config.flag("allow_weak_keys"))


def use(session: Session, run: DagRun, token: VerifiedToken, user: str) -> None:
    """Keep that a token was used, in the transaction that creates its run; write into Airflow's audit log by whom.

    Two that use one token at the same moment: the second gets an ``IntegrityError`` from the database.
    """
    session.add(kept_use(run.dag_id, run.run_id, run.id, token))
    log_use(session, run, token.signature, user)
    session.flush()


def kept_use(dag_id: str, run_id: str, run_key: int, token: VerifiedToken) -> SignedTrigger:
    """Return what is kept of a token that a run uses."""
    from cwl_ui_plugin.reports.tables import SignedTrigger

    return SignedTrigger(
        dag_id=dag_id,
        run_id=run_id,
        run_key=run_key,
        algorithm=token.signature.algorithm,
        fingerprint=token.signature.fingerprint,
        created_at=datetime.now(timezone.utc),
        content=token.content,
        expires_at=token.expires_at,
    )


def log_use(session: Session, run: DagRun, signature: RunSignature, user: str | None) -> None:
    """Write into Airflow's audit log who started a run with a signature of which key."""
    from airflow.models.log import Log

    extra = json.dumps({"fingerprint": signature.fingerprint, "algorithm": signature.algorithm})
    session.add(Log(event=EVENT, dag_id=run.dag_id, run_id=run.run_id, owner=user, extra=extra))


def check_unused(session: Session, token: VerifiedToken, dag_id: str, run_id: str) -> None:
    """Raise :class:`Conflict` where a token was used before, on whatever Dag, even if its run was deleted since.

    What is kept of a use from before contents were: that this run_id was signed.
    """
    from sqlalchemy import and_, or_, select

    from cwl_ui_plugin.reports.tables import SignedTrigger as Kept

    is_old = and_(Kept.run_id == run_id, or_(Kept.dag_id == dag_id, Kept.content.is_(None)))
    kept = session.scalars(select(Kept).where(or_(Kept.content == token.content, is_old)).limit(1)).first()
    if kept is None:
        return
    _prolong(kept, token)
    session.commit()
    raise already_used(run_id)


def is_used(token: VerifiedToken) -> bool:
    """Whether a token was used, as the database has it now."""
    from airflow.utils.session import create_session
    from sqlalchemy import select

    from cwl_ui_plugin.reports.tables import SignedTrigger

    with create_session(scoped=False) as session:
        return session.scalar(select(SignedTrigger.run_id).where(SignedTrigger.content == token.content)) is not None


def already_used(run_id: str) -> Conflict:
    """Return what is said to whoever uses a signature again."""
    return Conflict(f"The signed run {run_id!r} was started before: a signature starts one run. Sign another run_id.")


def _prolong(kept: SignedTrigger, token: VerifiedToken) -> None:
    """Keep a use for as long as the last token of the same content can be valid."""
    if kept.content == token.content and kept.expires_at is not None:
        kept.expires_at = max(kept.expires_at, token.expires_at) if token.expires_at is not None else None


def forget_expired(now: datetime) -> None:
    """Remove what is kept of tokens that can't be used any more and have no run."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import delete, exists

    from cwl_ui_plugin.reports.tables import SignedTrigger

    has_run = exists().where(DagRun.id == SignedTrigger.run_key)
    expired = delete(SignedTrigger).where(SignedTrigger.expires_at < now, ~has_run)
    with create_session(scoped=False) as session:
        session.execute(expired.execution_options(synchronize_session=False))


def _end_of(expiry: object) -> datetime | None:
    """Return from when on a token with this ``exp`` is refused by every clock; None for never."""
    if isinstance(expiry, bool) or not isinstance(expiry, (int, float)):
        return None
    try:
        return datetime.fromtimestamp(expiry, timezone.utc) + LEEWAY
    except (OverflowError, ValueError, OSError):
        return None


def signature_of(session: Session, run: DagRun) -> RunSignature | None:
    """Return who signed a run, as it was verified when the run was created."""
    from cwl_ui_plugin.reports.tables import SignedTrigger

    kept = session.get(SignedTrigger, (run.dag_id, run.run_id))
    if kept is None or kept.run_key != run.id:
        return None
    return RunSignature(kept.fingerprint, kept.algorithm, verified_at=iso(kept.created_at))
