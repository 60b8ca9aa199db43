"""Starting runs: the job is checked against the workflow's inputs before anything is created."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import TYPE_CHECKING

from cwl_ui_plugin import config
from cwl_ui_plugin.cwl.errors import FolderTaken, JobError
from cwl_ui_plugin.cwl.jobs import checks
from cwl_ui_plugin.cwl.plan import Plan
from cwl_ui_plugin.dags.access.grants import Continued, Grant
from cwl_ui_plugin.dags.conf import GRANT
from cwl_ui_plugin.dags.errors import RegistrationError
from cwl_ui_plugin.dags.folders import placement
from cwl_ui_plugin.dags.folders.placement import Held
from cwl_ui_plugin.dags.registration import register
from cwl_ui_plugin.dags.run_job import given
from cwl_ui_plugin.library.versions import StoredVersion
from cwl_ui_plugin.services import granting, signatures
from cwl_ui_plugin.services.database import retry_on_database_lock, taking_turns
from cwl_ui_plugin.services.errors import BadRequest, Conflict, InvalidJob, NotFound, NotVerified, Unavailable
from cwl_ui_plugin.services.inputs.access import InputAccess, shared_only
from cwl_ui_plugin.services.inputs.use import note_use
from cwl_ui_plugin.services.models import iso
from cwl_ui_plugin.services.monitoring.run_states import shown_state
from cwl_ui_plugin.services.run_models import RunSummary
from cwl_ui_plugin.services.signatures import VerifiedToken
from cwl_ui_plugin.services.stored_workflows import open_store
from cwl_ui_plugin.services.triggering.creating import create_run
from cwl_ui_plugin.services.triggering.job_of_conf import job_of_conf
from cwl_ui_plugin.services.triggering.version_pinning import settle, whole
from cwl_ui_plugin.services.workflows.details import is_cwl_dag, stored_version
from cwl_ui_plugin.signing.tokens import EARLY
from cwl_ui_plugin.strict_json import is_text
from cwl_ui_plugin.variables import TRIGGER_KEY

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun
    from airflow.utils.types import DagRunTriggeredByType
    from sqlalchemy.orm import Session

log = logging.getLogger(__name__)
MAX_RUN_ID = 250
VIEW = "view"
REST = "rest"
EXPERIMENTAL = "experimental"
Record = Callable[["Session", "DagRun"], None]


def trigger(
    dag_id: str,
    *,
    conf: dict[str, object],
    run_id: str | None = None,
    user: str,
    via: str,
    files: InputAccess | None = None,
    signature: VerifiedToken | None = None,
    version: str | None = None,
    record: Record | None = None,
    continued: Continued | None = None,
) -> RunSummary:
    """Create a run of a Dag and return it; Airflow starts it at once. ``version``: of an earlier version of a workflow.

    ``record`` is called in the transaction that creates the run: what it writes is there if the run is, and only then.
    ``continued`` is the run that this one goes on from: what is certainly the same is taken over from it.

    ``files`` says which inputs the user may use besides those that everybody may.

    ``conf`` is what ``dags.run_job`` reads, with ``check_payload`` where it is signed; it is kept as it is, and a grant
    with it (see ``dags.access.grants``). A signature in it is verified, unless ``signature`` tells that it was. The job
    of a Dag that is not CWL is not checked.

    Raises:
        NotFound: no such Dag, or a deleted one.
        InvalidJob: with one problem for each input.
        NotVerified: the signature does not hold; or only signed runs are allowed, and this one is not.
        Conflict: the run_id is taken, or was taken by a signed run before; the folder for outputs is another run's; or
            Airflow does not have the version.
        BadRequest: a run_id or conf that Airflow does not accept.

    """
    signature, grant = check(
        dag_id, conf=conf, run_id=run_id, user=user, files=files, signature=signature, version=version
    )
    if grant:
        grant = replace(grant, continued=continued)
    create = partial(_create, dag_id, conf, run_id or None, user, via, signature, version, grant, record)
    return whole(dag_id, lambda: retry_on_database_lock(create, f"the run {run_id} of {dag_id}"))


def check(
    dag_id: str,
    *,
    conf: dict[str, object],
    run_id: str | None = None,
    user: str,
    files: InputAccess | None = None,
    signature: VerifiedToken | None = None,
    version: str | None = None,
) -> tuple[VerifiedToken | None, Grant | None]:
    """Check all of a run that can be checked before it is created; return its signature and what it is granted.

    Takes, and raises, what :func:`trigger` does.
    """
    check_run_id(run_id)
    _check_no_grant(conf)
    _check_dag(dag_id)
    signature = signature or signatures.verified(dag_id, run_id or "", conf)
    if not is_cwl_dag(dag_id):
        return signature, None
    _check_signed(signature)
    stored = _version_to_run(dag_id, version)
    job = job_of_conf(dag_id, stored, conf)
    _check_folders(dag_id, run_id or new_run_id(), job)
    return signature, _checked_grant(stored, job, user, signature, files or shared_only())


def new_run_id() -> str:
    """Return a name for a run that no other has: when it was asked for, and some letters."""
    return f"{datetime.now(timezone.utc):%Y-%m-%dT%H-%M-%S}-{uuid.uuid4().hex[:6]}"


def check_job(dag_id: str, job: Mapping[str, object], files: InputAccess | None = None) -> dict[str, object]:
    """Return the job with absolute locations; raise :class:`InvalidJob` or :class:`NotFound`."""
    version = stored_version(dag_id)
    if version is None:
        raise NotFound(f"There is no CWL workflow {dag_id!r}.")
    return _checked(version.plan, job, files or shared_only())


def check_run_id(run_id: str | None) -> None:
    """Raise :class:`BadRequest` for what can't be the name of a run's folder; the rest is for Airflow to say."""
    if not run_id:
        return
    if len(run_id) > MAX_RUN_ID or "/" in run_id or not is_text(run_id) or run_id.startswith("."):
        raise BadRequest(
            f"{run_id[:80]!r} can't be a run_id: use up to {MAX_RUN_ID} letters, digits and '_.~:+-', not '/', "
            "and do not begin with '.'."
        )


def _check_no_grant(conf: Mapping[str, object]) -> None:
    """Refuse what only this module writes into a conf."""
    if GRANT in conf:
        raise BadRequest(f"The conf must not have a field {GRANT}: the server grants each run anew. Leave it out.")


def _check_dag(dag_id: str) -> None:
    """Raise :class:`NotFound` if Airflow has no such Dag.

    The Dag processor takes a Dag for deleted that was stored after it listed the files and before it looked at the
    database, until it comes round again; a workflow in the store is made known anew.
    """
    if _is_known(dag_id):
        return
    if dag_id not in open_store():
        raise NotFound(f"There is no Dag {dag_id!r}.")
    try:
        retry_on_database_lock(lambda: register(dag_id), f"the registration of {dag_id}")
    except RegistrationError as error:
        raise Unavailable(f"Airflow does not know the workflow {dag_id!r}: {error}") from error


def _is_known(dag_id: str) -> bool:
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session

    with create_session(scoped=False) as session:
        dag = session.get(DagModel, dag_id)
        return dag is not None and not dag.is_stale


def _check_signed(signature: VerifiedToken | None) -> None:
    if signature is None and config.flag("require_signed_conf"):
        raise NotVerified(
            "Only signed runs are allowed here ([cwl] require_signed_conf), and this conf has no signature, or there "
            f"is no key to verify it with (Variable {TRIGGER_KEY})."
        )


def _version_to_run(dag_id: str, digest: str | None) -> StoredVersion | None:
    """Return a version, which is kept for the run; None for the document of a Dag file."""
    is_kept = digest is None or open_store().use(dag_id, digest)  # it may be one that is old enough to be removed
    version = stored_version(dag_id, digest) if is_kept else None
    if digest and version is None:
        raise NotFound(f"There is no version {digest!r} of the workflow {dag_id!r}.")
    return version


def _check_folders(dag_id: str, run_id: str, job: Mapping[str, object]) -> None:
    """Raise :class:`InvalidJob` for folders that a job may not name."""
    try:
        placement.folders_of(dag_id, run_id, job)
    except JobError as error:
        raise InvalidJob(error.message, error.problems) from error


def _checked_grant(
    version: StoredVersion | None,
    job: Mapping[str, object],
    user: str,
    signature: VerifiedToken | None,
    files: InputAccess,
) -> Grant:
    """Return what a run with this job is granted; raise what :func:`trigger` does for one that can't be run."""
    note_use(job, files)
    if version is not None:  # the document of a Dag file is known to its tasks only; its first task checks the job
        _checked(version.plan, job, files)
    return Grant(
        user=user,
        roots=files.granted(job),
        at=signature.verified_at if signature else time.time(),
        signed_by=signature.signature.fingerprint if signature else None,
    )


def _checked(plan: Plan, job: Mapping[str, object], files: InputAccess) -> dict[str, object]:
    try:
        allowed = config.flag("allow_job_requirements")
        return checks.check_job(plan, job, files.rules(job), allow_requirements=allowed)
    except JobError as error:
        raise InvalidJob(error.message, error.problems) from error
    except RecursionError:
        raise InvalidJob("The job is nested too deeply.") from None


def _hold(dag_id: str, run_id: str, created: datetime, conf: Mapping[str, object]) -> Held | None:
    """Claim the folders of a run that is being created; None where only its first task can."""
    try:
        return placement.hold(dag_id, run_id, created, given(conf))
    except FolderTaken as error:
        raise Conflict(error.message) from error
    except JobError as error:
        raise InvalidJob(error.message, error.problems) from error
    except (OSError, config.ConfigError) as error:
        log.warning("The folders of the run %s of %s are claimed by its first task: %s", run_id, dag_id, error)
        return None


def _given_back(held: Held | None) -> Callable[[type[BaseException] | None, object, object], None]:
    """Return what gives folders back if the run is not created after all."""

    def on_exit(kind: type[BaseException] | None, _error: object, _trace: object) -> None:
        if kind is not None and held is not None:
            held.give_back()

    return on_exit


def _create(
    dag_id: str,
    conf: dict[str, object],
    run_id: str | None,
    user: str,
    via: str,
    signature: VerifiedToken | None,
    version: str | None,
    grant: Grant | None,
    record: Record | None,
) -> RunSummary:
    from airflow.exceptions import DagNotFound, ParamValidationError
    from airflow.utils.types import DagRunTriggeredByType
    from sqlalchemy.exc import IntegrityError

    source = DagRunTriggeredByType.UI if via == VIEW else DagRunTriggeredByType.REST_API
    try:
        return _insert(dag_id, conf, run_id, user, source, signature, version, grant, record)
    except IntegrityError as error:
        if signature and signatures.is_used(signature):
            raise signatures.already_used(run_id or "") from error
        raise Conflict(f"The Dag {dag_id!r} has a run {run_id!r} already; choose another run_id.") from error
    except DagNotFound as error:
        raise NotFound(f"There is no Dag {dag_id!r}.") from error
    except (ValueError, ParamValidationError) as error:
        raise BadRequest(f"Airflow does not accept this run: {error}") from error


def _just_past(session: Session) -> datetime | None:
    """Return when a run may start so that Airflow starts it at once; None where that is the time of the trigger.

    Airflow compares it with SQLite's clock, which has whole seconds: a run of now would wait for the next one. What
    checks its signature in the first task knows that this is early (``signing.tokens.EARLY``).
    """
    if session.get_bind().dialect.name != "sqlite":
        return None
    return datetime.now(timezone.utc) - timedelta(seconds=EARLY)


def _insert(
    dag_id: str,
    conf: dict[str, object],
    run_id: str | None,
    user: str,
    source: DagRunTriggeredByType,
    signature: VerifiedToken | None,
    version: str | None,
    grant: Grant | None,
    record: Record | None = None,
) -> RunSummary:
    """Create the run with its grant, and in the same transaction the record of its signature."""
    from airflow.utils.session import create_session

    held = ExitStack()
    with held, taking_turns(), create_session(scoped=False) as session:
        if signature:
            signatures.check_unused(session, signature, dag_id, run_id or "")
        run = create_run(
            session, dag_id, run_id=run_id, conf=conf, user=user, source=source, run_after=_just_past(session)
        )
        if grant:
            run.conf = {**conf, GRANT: granting.sign(session, grant, dag_id, run.run_id, conf)}
        session.flush()
        if grant:
            held.push(_given_back(_hold(dag_id, run.run_id, run.run_after, conf)))
        settle(session, run, version)
        if signature:
            signatures.use(session, run, signature, user)
        if record:
            record(session, run)
        return _summary(run)


def _summary(run: DagRun) -> RunSummary:
    return RunSummary(
        dag_id=run.dag_id,
        run_id=run.run_id,
        state=str(run.state),
        shown_state=shown_state(str(run.state)),
        progress=0,
        user=run.triggering_user_name,
        queued_at=iso(run.queued_at),
        started_at=None,
        ended_at=None,
        logical_date=iso(run.logical_date),
    )
