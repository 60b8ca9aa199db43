"""Starting a run for a call: what the predecessors' endpoint and the REST API have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from cwl_ui_plugin.api.request_json import check_object, parse_object
from cwl_ui_plugin.api.security import known, logged_in, require
from cwl_ui_plugin.auth import jwt_backend, permissions
from cwl_ui_plugin.dags.conf import SIGNATURE
from cwl_ui_plugin.services.errors import BadRequest, NotVerified
from cwl_ui_plugin.services.signatures import reason
from cwl_ui_plugin.services.triggering import triggers
from cwl_ui_plugin.signing.errors import SigningError

if TYPE_CHECKING:
    from cwl_ui_plugin.api.security import OptionalUser
    from cwl_ui_plugin.services.run_models import RunSummary


def verified(body: Mapping[str, object], dag_id: str) -> jwt_backend.VerifiedTrigger | None:
    """Return what is signed in a body; None where no key is set. Raise :class:`NotVerified`."""
    try:
        return jwt_backend.verify_body(body, dag_id)
    except SigningError as error:
        raise NotVerified(reason(error)) from error


def actor_of(dag_id: str, user: OptionalUser, signed: jwt_backend.VerifiedTrigger | None) -> jwt_backend.Actor:
    """Return whom a run is started as: the user, who must be allowed to; or whom signed triggers act as."""
    if signed is not None:
        return jwt_backend.acting_user(dag_id, known(user))
    caller = logged_in(user)
    require(permissions.may_trigger(caller, dag_id))
    return jwt_backend.Actor(caller.get_name(), permissions.input_access(caller))


def start(
    dag_id: str,
    actor: jwt_backend.Actor,
    signed: jwt_backend.VerifiedTrigger | None,
    *,
    conf: dict[str, object],
    run_id: str | None,
    via: str,
) -> RunSummary:
    """Start a run, with the signature that was verified in its conf."""
    return triggers.trigger(
        dag_id,
        conf=conf,
        run_id=run_id,
        user=actor.name,
        files=actor.files,
        via=via,
        signature=signed.signature if signed else None,
    )


def conf_of(sent: object) -> dict[str, object]:
    """Return a conf that was sent as JSON text or as an object."""
    return parse_object(sent, "conf") if isinstance(sent, str) else check_object(sent, "conf")


def run_id_of(body: Mapping[str, object]) -> str | None:
    """Return the name that a run is to have, if the body says one."""
    run_id = body.get("run_id")
    if run_id is not None and not isinstance(run_id, str):
        raise BadRequest("run_id must be a text.")
    return run_id


def with_signature(conf: Mapping[str, object], token: str) -> dict[str, object]:
    """Return the conf of a signed run: what was signed, and the signature."""
    if SIGNATURE in conf:
        raise BadRequest(f"The conf that is signed must not have a field {SIGNATURE}: the signature is kept there.")
    return {**conf, SIGNATURE: token}
