"""Uploading a workflow: stage the files, compile them in the background, store them, make the Dag known to Airflow.

An upload is done when a run can be triggered; when it fails, nothing of it is stored.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import PurePosixPath

from cwl_ui_plugin import config
from cwl_ui_plugin.cwl.compile_process import compile_in_process
from cwl_ui_plugin.cwl.containers.policy import ANYTHING, complaints
from cwl_ui_plugin.cwl.errors import ChoiceError, DocumentError, UnsupportedError
from cwl_ui_plugin.cwl.plan import read_packed, read_plan
from cwl_ui_plugin.dags import known_dags, registration
from cwl_ui_plugin.dags.errors import RegistrationError
from cwl_ui_plugin.dags.names import BUNDLE, CLEAN_DAG_RUN
from cwl_ui_plugin.dags.site import site_policy
from cwl_ui_plugin.library import intake
from cwl_ui_plugin.library.errors import BadDagId, BadUpload, DamagedArchive, StoreAway, UnknownWorkflow, UploadTooLarge
from cwl_ui_plugin.library.intake import UploadedFile
from cwl_ui_plugin.library.origins import Origin
from cwl_ui_plugin.library.store import WorkflowStore
from cwl_ui_plugin.library.versions import StoredVersion, check_dag_id, digest_of
from cwl_ui_plugin.observing import stats
from cwl_ui_plugin.services.database import retry_on_database_lock
from cwl_ui_plugin.services.errors import (
    BadRequest,
    Conflict,
    InvalidWorkflow,
    NoRoom,
    NotAllowed,
    NotFound,
    ServiceError,
    TooLarge,
    Unavailable,
)
from cwl_ui_plugin.services.full_disk import as_no_room, full_disk_told
from cwl_ui_plugin.services.scheduling.schedules import follow_version
from cwl_ui_plugin.services.stored_workflows import open_store
from cwl_ui_plugin.services.workflow_models import Upload, UploadRights
from cwl_ui_plugin.services.workflows.upload_state import UploadFolder, excerpts_of, finishing, seconds_since, sweep

__all__ = ["UploadedFile", "get_upload", "raise_failure", "start_upload", "wait_upload"]

log = logging.getLogger(__name__)
COMPILING_AT_ONCE = 2
MAX_WAITING = 32
READY = "Ready to run"
_POLL_SECONDS = 0.05
SOON_SECONDS = 0.2
"""What is done by then is answered at once: content that is known takes no longer."""
_UNEXPECTED = "The workflow could not be stored, because of an error in the server; its log says more."
_compiling = threading.BoundedSemaphore(COMPILING_AT_ONCE)
_waiting = threading.BoundedSemaphore(MAX_WAITING)
_ERRORS: dict[int, type[ServiceError]] = {
    error.status: error
    for error in (BadRequest, NotAllowed, NotFound, Conflict, TooLarge, InvalidWorkflow, Unavailable, NoRoom)
}


@dataclass(frozen=True)
class _Task:
    """What the background needs to know of an upload."""

    store: WorkflowStore
    folder: UploadFolder
    main: str
    filename: str
    digest: str
    replace: bool
    may_see: bool
    may_change: bool
    origin: Origin | None = None


def start_upload(
    files: Iterable[UploadedFile],
    *,
    user: str,
    rights: UploadRights,
    dag_id: str | None = None,
    main: str | None = None,
    replace: bool = False,
    origin: Origin | None = None,
) -> Upload:
    """Check and stage an upload; compile it in the background. ``replace`` allows a new version of a workflow;
    ``origin`` is where it came from, if it was no user's file.

    Of a Dag that the user may not see nothing is told but that its name is taken.

    Content that is the current version of that workflow already is done at once.

    Raises:
        BadRequest: files, main document or dag_id can't be used.
        TooLarge: more bytes or files than allowed.
        Conflict: another Dag has the dag_id.
        NotAllowed: the user may not change the workflow.
        Unavailable: too many uploads are waiting.
        NoRoom: the disk is full.

    """
    store = open_store()
    sweep(store.uploads)
    with full_disk_told("the workflow"):
        folder = UploadFolder.create(store.uploads)
        try:
            task, upload = _stage(store, folder, list(files), user, dag_id, main, replace, rights)
            task = dataclasses.replace(task, origin=origin)
            _check_free(task, upload.dag_id)
            _start(task, upload)
            return folder.read()
        except BaseException:
            folder.remove()
            raise


def get_upload(upload_id: str) -> Upload:
    """Return an upload as it is now; raise :class:`NotFound`."""
    return UploadFolder(open_store().uploads, upload_id).read()


def wait_upload(upload_id: str) -> Upload:
    """Return an upload once it is done; raise its failure."""
    while not (upload := get_upload(upload_id)).has_ended:
        time.sleep(_POLL_SECONDS)
    raise_failure(upload)
    return upload


def raise_failure(upload: Upload) -> None:
    """Raise the failure of an upload that has failed as the error that it was."""
    if upload.state != "failed":
        return
    if upload.status == InvalidWorkflow.status:
        raise InvalidWorkflow(upload.message, upload.problems, unsupported=upload.unsupported, choices=upload.choices)
    raise _ERRORS.get(upload.status or 500, ServiceError)(upload.message, upload.problems)


def _stage(
    store: WorkflowStore,
    folder: UploadFolder,
    files: list[UploadedFile],
    user: str,
    dag_id: str | None,
    main: str | None,
    may_replace: bool,
    rights: UploadRights,
) -> tuple[_Task, Upload]:
    """Unpack the files and name things."""
    sent = PurePosixPath(files[0].name).name if len(files) == 1 else ""
    found, chosen = _unpack(folder, files, sent, dag_id, main)
    task = _Task(
        store=store,
        folder=folder,
        main=found,
        filename=sent or PurePosixPath(found.partition("#")[0]).name,
        digest=digest_of(folder.source, found),
        replace=may_replace,
        may_see=rights.may_see(chosen),
        may_change=rights.may_change(chosen),
    )
    upload = Upload(
        id=folder.id,
        state="validating",
        message="Waiting for validation",
        dag_id=chosen,
        digest=None,
        user=user,
        started_at=datetime.now(timezone.utc).isoformat(),
        seconds=0.0,
    )
    return task, upload


def _unpack(
    folder: UploadFolder, files: list[UploadedFile], sent: str, dag_id: str | None, main: str | None
) -> tuple[str, str]:
    """Unpack the files; return the main document, and the dag_id that was chosen, or that they propose."""
    try:
        names = intake.unpack(files, folder.source, _limits())
        found = intake.find_main(folder.source, names, main or None)
        return found, _check_name(dag_id or intake.propose_dag_id(sent, found))
    except UploadTooLarge as error:
        raise TooLarge(str(error)) from error
    except (BadUpload, BadDagId) as error:
        raise BadRequest(str(error)) from error


def _check_name(dag_id: str) -> str:
    if ".." in dag_id:
        raise BadDagId(f"{dag_id!r} can't be a dag_id: '..' must not be in it.")
    return check_dag_id(dag_id)


def _limits() -> intake.Limits:
    return intake.Limits(
        upload_bytes=int(config.number("max_upload_size")),
        unpacked_bytes=int(config.number("max_unpacked_size")),
        unpacked_files=int(config.number("max_unpacked_files")),
    )


def _check_free(task: _Task, dag_id: str) -> None:
    """Raise :class:`Conflict` or :class:`NotAllowed` if the dag_id is that of a Dag that this may not be.

    Its runs and versions are of those who may see it, also when it was deleted.
    """
    if dag_id == CLEAN_DAG_RUN:
        raise Conflict(f"The dag_id {CLEAN_DAG_RUN!r} is reserved for the Dag that stops runs; choose another.")
    is_ours, is_deleted = dag_id in task.store, task.store.is_deleted(dag_id)
    is_other = not is_ours and retry_on_database_lock(lambda: _is_other_dag(dag_id), f"looking for {dag_id}")
    if (is_ours or is_other or is_deleted) and not task.may_see:
        raise Conflict(f"The dag_id {dag_id!r} is taken. Choose another dag_id.")
    if is_other:
        raise Conflict(f"Airflow has a Dag {dag_id!r} that is not an uploaded workflow. Choose another dag_id.")
    if is_ours and not task.replace and _current_digest(task.store, dag_id) != task.digest:
        raise Conflict(
            f"There is a workflow {dag_id!r} already. Choose another dag_id, or replace it with a new version."
        )
    if (is_deleted or (is_ours and task.replace)) and not task.may_change:
        raise NotAllowed(
            f"There {'was' if is_deleted else 'is'} a workflow {dag_id!r}, and a new version of it takes the right to "
            "edit that Dag. Choose another dag_id, or ask an administrator of this Airflow."
        )


def _current_digest(store: WorkflowStore, dag_id: str) -> str | None:
    try:
        return store.current(dag_id).digest
    except UnknownWorkflow:
        return None


def _is_other_dag(dag_id: str) -> bool:
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session

    with create_session(scoped=False) as session:
        dag = session.get(DagModel, dag_id)
        return dag is not None and not dag.is_stale and dag.bundle_name != BUNDLE


def _start(task: _Task, upload: Upload) -> None:
    """Begin to work in the background, and wait a moment; the upload is held before anybody can read its state."""
    if not _waiting.acquire(blocking=False):
        raise Unavailable("Too many uploads are waiting for validation; try again in a minute.")
    held = threading.Event()
    thread = threading.Thread(target=_work, args=(task, upload, held), name=f"cwl-upload-{upload.id}", daemon=True)
    thread.start()
    held.wait()
    thread.join(SOON_SECONDS)


def _work(task: _Task, upload: Upload, held: threading.Event) -> None:
    """Do an upload to its end; whatever happens is in its state."""
    try:
        with task.folder.held():
            task.folder.write(upload)
            held.set()
            result = _ended(task, upload)
            result = replace(result, excerpts=excerpts_of(task.folder.source, result.problems))
            task.folder.clear()
            task.folder.write(replace(result, seconds=seconds_since(upload.started_at)))
    except Exception:
        log.exception("The state of upload %s can't be kept", upload.id)
    finally:
        held.set()
        _waiting.release()


def _ended(task: _Task, upload: Upload) -> Upload:
    try:
        version = _compile_and_store(task, upload)
    except UnsupportedError as error:
        failed = replace(upload, message=error.message, problems=error.problems, status=422, unsupported=True)
    except ChoiceError as error:
        failed = replace(upload, message=error.message, choices=error.choices, status=422)
    except DocumentError as error:
        failed = replace(upload, message=error.message, problems=error.problems, status=422)
    except ServiceError as error:
        failed = replace(upload, message=error.message, problems=error.problems, status=error.status)
    except (StoreAway, DamagedArchive) as error:
        failed = replace(upload, message=f"{error} Nothing was stored; upload it again.", status=Unavailable.status)
    except Exception as error:
        log.exception("Upload %s of %s failed", upload.id, upload.dag_id)
        told = as_no_room(error, "the workflow")
        failed = replace(upload, message=told.message if told else _UNEXPECTED, status=told.status if told else 500)
    else:
        return replace(upload, state="done", message=_ready(task, version), digest=version.digest)
    return replace(failed, state="failed")


def _ready(task: _Task, version: StoredVersion) -> str:
    """Say that it can be run, and which process that is where nobody has named it."""
    if version.main == task.main:
        return READY
    return f"{READY}: {version.main.partition('#')[2]!r}, the one workflow of the document that no other runs"


def _compile_and_store(task: _Task, upload: Upload) -> StoredVersion:
    if not _has_version(task, upload.dag_id):
        with _compiling, stats.timed_compilation():
            compile_in_process(
                task.folder.source,
                task.main,
                task.folder.compiled,
                fetch_hosts=config.fetch_hosts(),
                allow_drafts=config.flag("allow_draft_versions"),
                timeout=config.number("compile_timeout"),
                progress=lambda message: task.folder.write(replace(upload, message=message)),
            )
    _check_containers(task, upload.dag_id)
    task.folder.write(replace(upload, state="registering", message="Making it known to Airflow"))
    with finishing(task.store.uploads):
        _check_free(task, upload.dag_id)
        return _store(task, upload)


def _check_containers(task: _Task, dag_id: str) -> None:
    """Raise :class:`InvalidWorkflow` for tools that the site does not let run as they want to."""
    policy = site_policy()
    if policy == ANYTHING:
        return
    is_stored = _has_version(task, dag_id)
    folder = task.store.version(dag_id, task.digest).compiled if is_stored else task.folder.compiled
    problems = tuple(complaints(read_packed(folder), policy))
    if problems:
        raise InvalidWorkflow("This site does not let the workflow run its tools like this.", problems)


def _has_version(task: _Task, dag_id: str) -> bool:
    """Whether the version is there already; it is used now, and so not removed meanwhile."""
    return task.store.use(dag_id, task.digest)


def _store(task: _Task, upload: Upload) -> StoredVersion:
    """Add the version and register its Dag; if that fails, take it back."""
    previous = _current_digest(task.store, upload.dag_id)
    existed = _has_version(task, upload.dag_id)
    if existed:
        version = task.store.make_current(upload.dag_id, task.digest)
    else:  # whole, or not at all
        version = task.store.add(
            upload.dag_id,
            source=task.folder.source,
            compiled=task.folder.compiled,
            main=read_plan(task.folder.compiled).main,
            filename=task.filename,
            uploaded_by=upload.user,
            origin=task.origin,
        )
    try:
        follow_version(upload.dag_id)
        if existed and previous == task.digest and known_dags.is_settled(upload.dag_id):
            return version
        retry_on_database_lock(lambda: registration.register(upload.dag_id), f"registering {upload.dag_id}")
    except BaseException as error:
        try:
            _take_back(task.store, version, previous, existed)
        except StoreAway as away:
            raise Unavailable(f"{error} It could not be taken back, and may be there later: {away}") from error
        if isinstance(error, RegistrationError):
            raise Unavailable(str(error)) from error
        raise
    return version


def _take_back(store: WorkflowStore, version: StoredVersion, previous: str | None, existed: bool) -> None:
    """Leave the store as it was; a version that was there before stays, since runs may be pinned to it."""
    if previous is None and (existed or len(store.versions(version.dag_id)) > 1):
        store.delete(version.dag_id)
    elif existed and previous is not None:
        store.make_current(version.dag_id, previous)
    else:
        store.discard(version.dag_id, version.digest, previous=previous)
    follow_version(version.dag_id)
