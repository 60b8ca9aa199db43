"""Signatures of runs that Airflow's own API creates: a use is reserved before, and kept or given back afterwards.

Airflow creates such a run in a transaction of its own, so the use can't be kept in the same (``signing.use``). Whatever
happens in between, a signature starts no second run: the process that dies leaves the use kept, without a run.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from cwl_ui_plugin.dags.conf import SIGNATURE
from cwl_ui_plugin.services import signatures
from cwl_ui_plugin.services.database import retry_on_database_lock
from cwl_ui_plugin.services.errors import BadRequest, NotVerified
from cwl_ui_plugin.services.run_models import RunSignature
from cwl_ui_plugin.services.signatures import VerifiedToken
from cwl_ui_plugin.services.triggering.triggers import check_run_id
from cwl_ui_plugin.services.workflows.details import is_cwl_dag
from cwl_ui_plugin.signing.errors import SigningError

log = logging.getLogger(__name__)
ONE_RUN = (
    f"A signature ({SIGNATURE}) starts one run, which it names: neither a backfill nor the materialization of an asset "
    "takes one. Trigger the run by its run_id."
)


@dataclass(frozen=True)
class Use:
    """The use of a signature that is reserved for a run; ``token`` is what the run's conf has."""

    dag_id: str
    run_id: str
    token: object
    content: str


def reserve(dag_id: str, run_id: str, conf: Mapping[str, object]) -> Use | None:
    """Reserve the use of a conf's signature; None where nobody asks for one: no CWL Dag, or no key to verify it with.

    Raises:
        NotVerified: the signature does not hold, or is not of this run.
        Conflict: it was used before, or is reserved.
        BadRequest: no run of a workflow can have this run_id.
        Unavailable: the database is busy.

    """
    if not is_cwl_dag(dag_id):
        return None
    token = signatures.verified(dag_id, run_id, conf)
    if token is None:
        return None
    check_run_id(run_id)
    retry_on_database_lock(partial(_keep, dag_id, run_id, token), f"the run {run_id} of {dag_id}")
    return Use(dag_id, run_id, conf[SIGNATURE], token.content)


def settle(use: Use, *, is_refused: bool) -> None:
    """Keep a use for the run that was created; give it back where Airflow has refused to create one.

    It may have created the run all the same, and failed to say so: then the use is kept, as it is where the database
    can't be asked.
    """
    try:
        retry_on_database_lock(
            partial(_settle, use, is_refused), f"the signature of the run {use.run_id} of {use.dag_id}"
        )
    except Exception:
        log.exception(
            "The signature of the run %s of %s counts as used now, maybe without a run", use.run_id, use.dag_id
        )


def refuse_for_dag(dag_id: str) -> None:
    """Raise :class:`BadRequest` for a signed backfill, where the Dag is CWL and signatures are verified.

    It makes many runs, and gives ones that are there another conf; a signature would get into several.
    """
    if is_cwl_dag(dag_id):
        _refuse()


def refuse_for_asset(asset: str) -> None:
    """Raise :class:`BadRequest` for a signed materialization by a CWL Dag, where signatures are verified.

    ``asset`` is its number as it is written in a path.
    """
    from airflow.models.asset import TaskOutletAssetReference as Outlet
    from airflow.utils.session import create_session
    from pydantic import TypeAdapter, ValidationError
    from sqlalchemy import select

    try:
        number = TypeAdapter(int).validate_python(asset)  # as FastAPI reads it
    except ValidationError:
        return
    with create_session(scoped=False) as session:
        makers = list(session.scalars(select(Outlet.dag_id).where(Outlet.asset_id == number)))
    if any(map(is_cwl_dag, makers)):
        _refuse()


def _refuse() -> None:
    try:
        is_verified = signatures.trigger_policy() is not None
    except SigningError as error:
        raise NotVerified(signatures.reason(error)) from error
    if is_verified:
        raise BadRequest(ONE_RUN)


def _keep(dag_id: str, run_id: str, token: VerifiedToken) -> None:
    from airflow.utils.session import create_session
    from sqlalchemy.exc import IntegrityError

    try:
        with create_session(scoped=False) as session:
            signatures.check_unused(session, token, dag_id, run_id)
            session.add(signatures.kept_use(dag_id, run_id, signatures.NO_RUN, token))
    except IntegrityError as error:
        raise signatures.already_used(run_id) from error


def _settle(use: Use, is_refused: bool) -> None:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    from cwl_ui_plugin.reports.tables import SignedTrigger

    with create_session(scoped=False) as session:
        kept = session.get(SignedTrigger, (use.dag_id, use.run_id))
        if kept is None or kept.content != use.content:
            return
        run = session.scalars(select(DagRun).where(DagRun.dag_id == use.dag_id, DagRun.run_id == use.run_id)).first()
        if run is not None and (run.conf or {}).get(SIGNATURE) == use.token:
            kept.run_key = run.id
            signature = RunSignature(kept.fingerprint, kept.algorithm)
            signatures.log_use(session, run, signature, run.triggering_user_name)
        elif is_refused:
            session.delete(kept)
