"""Signed triggers, as the predecessors' clients make them: a JWT over ``run_id`` and ``conf``; or ``dag_id``, too."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cwl_ui_plugin import strict_json
from cwl_ui_plugin.signing.algorithms import parse_algorithms
from cwl_ui_plugin.signing.contents import canonical, digest
from cwl_ui_plugin.signing.errors import BadSignature
from cwl_ui_plugin.signing.tokens import MAX_TOKEN, Verified, check, sign
from cwl_ui_plugin.variables import TRIGGER_ALGORITHM, TRIGGER_KEY, look_up

CLAIMS = {"run_id", "conf"}
DAG_ID = "dag_id"
WORKFLOW = "workflow_sha256"
"""The SHA-256, in hex, of the CWL document that is sent with a trigger."""
TIMES = {"exp", "nbf", "iat"}


@dataclass(frozen=True)
class TriggerPolicy:
    """How triggers must be signed: by one of these keys, with one of these algorithms.

    ``allow_weak`` accepts RSA keys under 2048 bits; ``require_exp`` refuses tokens that never expire, and
    ``require_dag_id`` those that do not say for which Dag they are. No token has more than ``longest`` characters.
    """

    keys: str
    algorithms: tuple[str, ...]
    allow_weak: bool = False
    require_exp: bool = False
    require_dag_id: bool = False
    longest: int = MAX_TOKEN


def read_policy(
    variable: Callable[[str], str | None],
    *,
    allow_weak: bool,
    require_exp: bool = False,
    require_dag_id: bool = False,
    longest: int = MAX_TOKEN,
) -> TriggerPolicy | None:
    """Return the policy that Airflow's Variables describe, or None where no key is set.

    Raises:
        BadAlgorithm: the Variable with the algorithms can't be used.

    """
    keys = look_up(TRIGGER_KEY, variable)
    if not keys or not keys.strip():
        return None
    algorithms = parse_algorithms(look_up(TRIGGER_ALGORITHM, variable))
    return TriggerPolicy(keys, algorithms, allow_weak, require_exp, require_dag_id, longest)


def sign_trigger(
    run_id: str,
    conf: object,
    key: str,
    algorithm: str,
    *,
    dag_id: str | None = None,
    lifetime: float | None = None,
    allow_weak: bool = False,
) -> str:
    """Return the ``check_payload`` of a trigger: for one Dag if that is named, for ``lifetime`` seconds if given."""
    more: dict[str, object] = {} if dag_id is None else {DAG_ID: dag_id}
    if lifetime is not None:
        more["exp"] = int(time.time() + lifetime)
    return sign({"run_id": run_id, "conf": conf, **more}, key, algorithm, allow_weak=allow_weak)


def verify_trigger(
    token: object,
    policy: TriggerPolicy,
    *,
    run_id: str,
    conf: object,
    dag_id: str | None = None,
    at: float | None = None,
    had_workflow: bool = False,
) -> Verified:
    """Return what the token says if that is this run and this conf, and nothing else; and this Dag, if it names one.

    ``conf`` may be a JSON text or an object, here and in the token: what counts is its content. ``at`` is the moment
    at which the token must be valid, if that is not now. ``had_workflow``: it may be of a call that :func:`verify_call`
    has verified, which sent the workflow as well.

    Raises:
        BadSignature: the signature does not hold, or is of something else.
        BadKey: the keys can't be used.

    """
    verified = check(token, policy.keys, policy.algorithms, allow_weak=policy.allow_weak, at=at, longest=policy.longest)
    claims = verified.claims
    if policy.require_exp and "exp" not in claims:
        raise BadSignature("The signature never expires: sign an exp, too ([cwl] require_exp).")
    may_have = {DAG_ID, WORKFLOW} if had_workflow else {DAG_ID}
    if set(claims) - TIMES - may_have != CLAIMS:
        raise BadSignature("The signature is of other fields than run_id, conf and dag_id.")
    if policy.require_dag_id and DAG_ID not in claims:
        raise BadSignature("The signature is for any Dag: sign the dag_id, too ([cwl] require_dag_id).")
    if DAG_ID in claims and claims[DAG_ID] != dag_id:
        raise BadSignature("The signature is of another dag_id.")
    if not run_id or claims["run_id"] != run_id:
        raise BadSignature("The signature is of another run_id.")
    if canonical(_content(claims["conf"])) != canonical(_content(conf)):
        raise BadSignature("The signature is of another conf.")
    return verified


def verify_call(token: object, policy: TriggerPolicy, fields: Mapping[str, object]) -> Verified:
    """Return what the token says if that is exactly these fields, for a time; a ``conf`` is compared by its content.

    Such a token is not used up by one call, as that of a trigger is, so it must expire.

    Raises:
        BadSignature: the signature does not hold, is of something else, or never expires.
        BadKey: the keys can't be used.

    """
    verified = check(token, policy.keys, policy.algorithms, allow_weak=policy.allow_weak, longest=policy.longest)
    claims = verified.claims
    if "exp" not in claims:
        raise BadSignature("The signature never expires: sign an exp, too.")
    if set(claims) - TIMES != set(fields):
        raise BadSignature(f"The signature is of other fields than {', '.join(fields)}.")
    for name, value in fields.items():
        read = _content if name == "conf" else _as_it_is
        if canonical(read(claims[name])) != canonical(read(value)):
            raise BadSignature(f"The signature is of another {name}.")
    return verified


def content_of(claims: Mapping[str, object]) -> str:
    """Return what makes a token the same as another, however both were written, signed or timed: a digest in hex."""
    return digest([claims.get("run_id"), _content(claims.get("conf")), claims.get(DAG_ID)])


def _content(conf: object) -> object:
    """Return the object that a conf is; a text that is no JSON stays what it is."""
    if not isinstance(conf, str):
        return conf
    try:
        return strict_json.loads(conf)
    except (ValueError, RecursionError):
        return conf


def _as_it_is(value: object) -> object:
    return value
