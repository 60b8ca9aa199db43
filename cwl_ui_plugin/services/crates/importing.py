"""Running a crate: its workflow is uploaded, and so are the files of its job, which is filled in.

Nothing is stored before all of it was read and checked; what fails afterwards takes back what it had stored.
"""

from __future__ import annotations

import io
import logging
import math
import struct
import tempfile
import uuid
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, cast

from cwl_ui_plugin import addresses, config
from cwl_ui_plugin.library import intake
from cwl_ui_plugin.library.errors import BadUpload, UploadTooLarge
from cwl_ui_plugin.library.intake import UploadedFile
from cwl_ui_plugin.services.crates.jobs import Given, GivenFile, files_in, given_in, job_for
from cwl_ui_plugin.services.crates.reading import (
    METADATA,
    CrateFiles,
    CrateMetadata,
    Entity,
    id_of,
    name_in_crate,
)
from cwl_ui_plugin.services.errors import BadRequest, InvalidWorkflow, NotFound, ServiceError, TooLarge
from cwl_ui_plugin.services.full_disk import full_disk_told
from cwl_ui_plugin.services.inputs import owners, single
from cwl_ui_plugin.services.inputs.access import InputAccess
from cwl_ui_plugin.services.presets import presets
from cwl_ui_plugin.services.retention.removed import sweep_removed
from cwl_ui_plugin.services.stored_workflows import open_store
from cwl_ui_plugin.services.workflow_models import Upload, UploadRights
from cwl_ui_plugin.services.workflows import uploads
from cwl_ui_plugin.services.workflows.details import stored_version

log = logging.getLogger(__name__)
MAX_ENTRIES = 25_000
MAX_RATIO = 100
"""How many times as large as the zip its files may be, where these are larger than an upload may unpack to."""
_LOOKED_AT = 4 * 1024 * 1024
_ENTRY = struct.Struct("<4s24xH16x")
"""Before the name of a file in the list of a zip: its mark, and how long the name is; APPNOTE.TXT 4.3.12."""
DOCUMENTS = (".cwl", ".json", ".yml", ".yaml", ".js")


@dataclass(frozen=True)
class Begun:
    """An import whose workflow is being compiled: ``folder`` has the files of its job, which are at ``places``."""

    upload: Upload
    given: Given
    places: dict[GivenFile, str]
    folder: str | None


@dataclass(frozen=True)
class Imported:
    """A workflow out of a crate and the job of its run; of inputs that are ``left_out`` it does not tell enough."""

    dag_id: str
    version: str
    job: dict[str, object]
    left_out: tuple[str, ...] = ()
    form: str = ""
    """The address of the form to run it, filled in with the job."""


def is_crate(stream: BinaryIO) -> bool:
    """Whether an upload is the zip of a crate: by the list at its end. The stream is at its beginning then."""
    size = stream.seek(0, io.SEEK_END)
    stream.seek(max(0, size - _LOOKED_AT))
    listed = stream.read(_LOOKED_AT)
    stream.seek(0)
    name = METADATA.encode()
    at = listed.find(name)
    while at >= 0:
        entry = listed[max(0, at - _ENTRY.size) : at]
        if len(entry) == _ENTRY.size and _ENTRY.unpack(entry) == (b"PK\1\2", len(name)):
            return True
        at = listed.find(name, at + 1)
    return False


def begin(
    file: UploadedFile,
    *,
    user: str,
    rights: UploadRights,
    access: InputAccess,
    dag_id: str | None = None,
    replace: bool = False,
) -> Begun:
    """Read a crate, keep the files of its job, and begin to upload its workflow.

    Raises:
        BadRequest: it is no crate, or its zip or its metadata can't be read.
        InvalidWorkflow: it has no CWL workflow, lacks a file, or has another one than it says.
        TooLarge: it is larger, or has more files, than allowed.
        Conflict, NotAllowed, Unavailable, NoRoom: as for an upload.

    """
    store = open_store()
    store.uploads.mkdir(parents=True, exist_ok=True)
    try:
        with (
            full_disk_told("the crate"),
            tempfile.TemporaryDirectory(dir=store.uploads, prefix=".crate-") as folder,
        ):
            limits = _limits(file.stream)
            with intake.open_zip(file, Path(folder, "crate.zip"), limits) as archive:
                files = CrateFiles(archive, limits)
                return _Import(files, CrateMetadata.of(files), user, access).begin(rights, file.name, dag_id, replace)
    except UploadTooLarge as error:
        raise TooLarge(str(error)) from error
    except BadUpload as error:
        raise BadRequest(str(error)) from error


def finish(begun: Begun, user: str) -> Imported:
    """Return what became of an import once its upload has ended; raise the failure of that."""
    try:
        upload = uploads.get_upload(begun.upload.id)
        uploads.raise_failure(upload)
        version = stored_version(upload.dag_id, upload.digest)
        if version is None:
            raise NotFound(f"The workflow {upload.dag_id!r} was deleted meanwhile.")
    except Exception:
        _take_back(begun.folder)
        raise
    job, left_out = job_for(version.plan, begun.given, begun.places)
    return Imported(upload.dag_id, version.digest, job, tuple(left_out), _form(upload.dag_id, job, user))


def _form(dag_id: str, job: dict[str, object], user: str) -> str:
    """Return the address of the form with a job; one that is too long for a link is kept as a preset of the user.

    Where that can't be, as they have too many, the form is empty: the workflow and the files are there all the same.
    """
    link = addresses.job_in_link(job)
    if len(link) <= addresses.MAX_JOB_IN_LINK:
        return addresses.run_form(dag_id, job=link)
    name = f"Crate of {datetime.now(timezone.utc):%Y-%m-%d %H:%M:%S}"
    try:
        return addresses.run_form(dag_id, preset=presets.save_preset(dag_id, name, job, user=user).preset.id)
    except ServiceError as error:
        log.warning("The job of a crate was not kept as a preset of %s: %s", dag_id, error)
        return addresses.run_form(dag_id)


def _limits(stream: BinaryIO) -> intake.Limits:
    size = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    most = int(config.number("max_input_size"))
    unpacked = min(most, max(int(config.number("max_unpacked_size")), MAX_RATIO * size))
    return intake.Limits(upload_bytes=most, unpacked_bytes=unpacked, unpacked_files=MAX_ENTRIES)


def _take_back(folder: str | None) -> None:
    if folder is not None:
        owners.remove_unused(folder, unused_since=math.inf)
        sweep_removed(config.uploads_folder())


class _Import:
    """One crate on its way."""

    def __init__(self, files: CrateFiles, metadata: CrateMetadata, user: str, access: InputAccess) -> None:
        self._files, self._metadata, self._user, self._access = files, metadata, user, access

    def begin(self, rights: UploadRights, filename: str, dag_id: str | None, replace: bool) -> Begun:
        workflow = self._metadata.workflow()
        given = given_in(self._metadata, workflow, self._files)
        sources, main = self._sources(workflow)
        needed = list(dict.fromkeys(files_in(given)))
        self._files.check_copies(name for one in needed for each in (one, *one.secondary) for name in self._names(each))
        folder = str(uuid.uuid4()) if needed else None
        try:
            places = self._kept(needed, folder) | self._elsewhere(given)
            upload = uploads.start_upload(
                sources,
                user=self._user,
                rights=rights,
                dag_id=dag_id or self._proposed(workflow, main, filename),
                main=main,
                replace=replace,
            )
        except BaseException:
            _take_back(folder)
            raise
        return Begun(upload, given, places, folder)

    def _sources(self, workflow: Entity) -> tuple[list[UploadedFile], str]:
        """Return the files of the workflow, as it was uploaded if these are there, and which is the main one."""
        original, _, fragment = id_of(workflow.get("isBasedOn")).partition("#")
        name = self._source_name(original) if original else None
        if name is not None and "/" in name:
            folder = name.partition("/")[0]
            names, main = self._files.below(folder), name.removeprefix(f"{folder}/")
        else:
            name, folder = self._source_name(str(workflow["@id"])), ""
            if name is None:
                raise InvalidWorkflow("The workflow of the crate is not in the crate: its zip has no such file.")
            parts = (self._source_name(str(part["@id"])) for part in self._metadata.all_of(workflow, "hasPart"))
            names, main = list(dict.fromkeys([name, *(part for part in parts if part)])), name
        left, found = int(config.number("max_upload_size")), []
        for one in names:
            content = self._files.read(one, max(0, left))
            left -= len(content)
            found.append(UploadedFile(one.removeprefix(f"{folder}/") if folder else one, io.BytesIO(content)))
        return found, f"{main}#{fragment}" if fragment else main

    @staticmethod
    def _proposed(workflow: Entity, main: str, filename: str) -> str:
        """Return what to call the workflow: as it was called, or after its file or that of the crate."""
        called = workflow.get("alternateName")
        if isinstance(called, str) and called:
            return intake.propose_dag_id(f"{called}.zip", main)
        is_telling = PurePosixPath(main.partition("#")[0]).name not in intake.MAIN_NAMES
        return intake.propose_dag_id("" if is_telling else filename.replace(".crate.zip", ".zip"), main)

    def _source_name(self, identifier: str) -> str | None:
        name = name_in_crate(identifier.partition("#")[0])
        is_there = name is not None and name in self._files
        return name if is_there and PurePosixPath(str(name)).suffix.lower() in DOCUMENTS else None

    def _kept(self, needed: list[GivenFile], folder: str | None) -> dict[GivenFile, str]:
        """Keep files as inputs of the user, secondary files beside theirs; return where they are."""
        places: dict[GivenFile, str] = {}
        for number, primary in enumerate(needed):
            for one in (primary, *primary.secondary):
                target = f"{number}/{one.basename}"
                names = self._names(one)
                for name in names:
                    with self._files.open(name) as stream:
                        self._save(target + name.removeprefix(one.name), stream, str(folder))
                if names:
                    places[one] = single.target_of(target, str(folder)).as_uri()
        return places

    def _names(self, one: GivenFile) -> list[str]:
        """Return the names in the zip of what is to be kept for a File or Directory."""
        if one.kind == "Directory":
            return self._files.below(one.name)
        return [one.name] if one.name else []

    def _save(self, name: str, stream: IO[bytes], folder: str) -> None:
        single.save_input(name, cast("BinaryIO", stream), user=self._user, folder=folder)

    def _elsewhere(self, given: Given) -> dict[GivenFile, str]:
        """Return files that are not in the crate and that the user may use where they are."""
        found = [
            value for values in given.values() for value in values if isinstance(value, GivenFile) and value.location
        ]
        paths = [value.location for value in found][: single.MAX_PATHS]
        visible = single.visible_inputs(paths, self._access)
        return {value: value.location for value in found if visible.get(value.location)}
