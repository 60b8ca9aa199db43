"""The folders that a run writes to: where its job may have them, and that no other run has them.

::

    <outputs_folder>/<dag_id>/<run_id>                     outputs, where the job names no folder
    <outputs_folder>/<dag_id>/<run_id>/<part>              of a part of a Dag that somebody wrote
    <outputs_folder>/<dag_id>/<output_folder>              a relative output_folder
    <tmp_folder>/<dag_id>/.placed/tmp/<tmp_folder>/<run_id>    a relative tmp_folder
    <output_folder>, <tmp_folder>/<dag_id>/<run_id>        absolute ones, in one of [cwl] output_roots

Where outputs go to an object store, their folder is a path of ``store_paths``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cwl_ui_plugin import config, store_paths
from cwl_ui_plugin.cwl.errors import JobError, StepError
from cwl_ui_plugin.dags.folders import claims, control_files
from cwl_ui_plugin.dags.folders.claims import Claim
from cwl_ui_plugin.fetching.errors import FetchError
from cwl_ui_plugin.fetching.storage_roots import key_problem, without_login
from cwl_ui_plugin.opened import Place
from cwl_ui_plugin.storing import site

OUTPUT_FOLDER = ("output_folder", "outputs_folder")
"""What a job may call it; the first that is there counts."""
TMP_FOLDER = "tmp_folder"
MAX_LENGTH = 1024
MAX_PART = 255
_PLACED = Path(".placed", "tmp")  # no run has a name that begins with a dot


@dataclass(frozen=True)
class RunFolders:
    """Where the outputs of a run go, and where its intermediate files are if not in the usual place.

    No part of a place below its root may be a link.
    """

    outputs: Place
    tmp: Place | None


def folders_of(dag_id: str, run_id: str, job: Mapping[str, object]) -> RunFolders:
    """Return the folders of a run.

    Raises:
        JobError: the job names one that it may not have.

    """
    _check_name(dag_id)
    _check_name(run_id)
    name = next((name for name in OUTPUT_FOLDER if job.get(name)), OUTPUT_FOLDER[0])
    outputs = _outputs(dag_id, run_id, name, _text(name, job.get(name)))
    _check_key(outputs.path)
    tmp = _tmp(dag_id, run_id, _text(TMP_FOLDER, job.get(TMP_FOLDER)))
    if tmp and _overlap(outputs.path, tmp.path):
        raise JobError(
            f"{name} and {TMP_FOLDER} of a job may not be the same folder, or one in the other ({outputs.path}, "
            f"{tmp.path}): intermediate files are removed when the run has ended."
        )
    return RunFolders(outputs, tmp)


@dataclass(frozen=True)
class Held:
    """The folders that a run has claimed; ``new`` are the claims that it did not have before."""

    folders: RunFolders
    new: tuple[Claim, ...]

    def give_back(self) -> None:
        """Give up what is new: there will be no run."""
        for claim in self.new:
            claims.release(claim)


def hold(dag_id: str, run_id: str, created: datetime, job: Mapping[str, object]) -> Held:
    """Claim the folders of a run, which was ``created`` (its ``run_after``) then.

    Raises:
        JobError: the job names a folder that it may not have.
        FolderTaken: a folder is another run's.
        OSError, ConfigError: claims can't be written.

    """
    folders = folders_of(dag_id, run_id, job)
    held = Held(folders, ())
    for place in (folders.outputs, folders.tmp):
        if place is None:
            continue
        claim = Claim(dag_id, run_id, str(place.path), created.timestamp())
        try:
            is_new = claims.take(claim, place.root)
        except BaseException:
            held.give_back()
            raise
        if is_new:
            held = Held(folders, (*held.new, claim))
    return held


def hold_part(dag_id: str, run_id: str, created: datetime, part: str) -> Held:
    """Claim the folder that a part of a Dag that somebody wrote delivers to; see :func:`hold`."""
    _check_name(dag_id)
    _check_name(run_id)
    place = _place(config.outputs_folder() / dag_id / run_id / control_files.folder_name(part), config.outputs_folder())
    claim = Claim(dag_id, run_id, str(place.path), created.timestamp())
    new = (claim,) if claims.take(claim, place.root) else ()
    return Held(RunFolders(place, None), new)


def delivered_by(dag_id: str, run_id: str, created: datetime) -> tuple[Path, ...]:
    """Return the folders that parts of a run have claimed; not those of an earlier run of its name."""
    folder = config.outputs_folder() / dag_id / run_id
    asked = Claim(dag_id, run_id, "", created.timestamp())
    if store_paths.is_stored(folder):
        return tuple(sorted(claim.path for claim in claims.below(folder) if claim.is_of(asked)))
    try:
        found = [Path(entry.path) for entry in os.scandir(folder)]
    except (FileNotFoundError, NotADirectoryError):
        return ()
    return tuple(path for path in sorted(found) if (claim := claims.of(path)) and claim.is_of(asked))


def check_writable(place: Place, check_stopped: Callable[[], None] = lambda: None) -> None:
    """Fail if outputs can't be delivered to a place from here: better now than after all the computing.

    Raises:
        JobError: the folder can't be made.
        StepError: the store does not take it; ``temporaryFail`` where that may pass.

    """
    if store := site.stored_folder(place.path, check_stopped):
        try:
            store.check()
        except FetchError as error:
            kind = "temporaryFail" if error.may_pass else "permanentFail"
            raise StepError(f"The outputs of this run can't be delivered: {error}", kind=kind) from error
        return
    nearest = next(path for path in (place.path, *place.path.parents) if os.path.lexists(path))
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise JobError(
            f"The outputs of this run can't be delivered into {place.path}: {nearest} is not a folder that the user of "
            "this worker may write to."
        )


def _outputs(dag_id: str, run_id: str, name: str, given: str | None) -> Place:
    base = config.outputs_folder() / dag_id
    if given is None:
        return _place(base / run_id, config.outputs_folder())
    if Path(given).is_absolute() or store_paths.path_of(given):
        return _in_root(name, given)
    return _place(_below(name, given, base), config.outputs_folder())


def _tmp(dag_id: str, run_id: str, given: str | None) -> Place | None:
    if given is None:
        return None
    if store_paths.path_of(given):
        raise JobError(f"{TMP_FOLDER} {without_login(given)!r} is no folder: intermediate files are on a disk.")
    if Path(given).is_absolute():
        place = _in_root(TMP_FOLDER, given)
        return _place(place.path / dag_id / run_id, place.root)
    base = config.tmp_folder() / dag_id / _PLACED
    return _place(_below(TMP_FOLDER, given, base) / run_id, config.tmp_folder())


def _text(name: str, value: object) -> str | None:
    """Return the text of a folder's name; None where there is none."""
    if value is None or value == "":
        return None
    if not isinstance(value, str) or "\0" in value or len(value) > MAX_LENGTH:
        raise JobError(f"{name} must be the path of a folder, with at most {MAX_LENGTH} characters.")
    if ".." in Path(value).parts:
        raise JobError(f"{name} {value!r} has '..' in it: name the folder itself.")
    try:
        longest = max(len(os.fsencode(part)) for part in (*Path(value).parts, ""))
    except UnicodeError:
        raise JobError(f"{name} has characters in it that no file can have in its name.") from None
    if longest > MAX_PART:
        raise JobError(f"{name} has a part that is longer than {MAX_PART} bytes; no folder can have such a name.")
    return value


def _below(name: str, given: str, base: Path) -> Path:
    path = _resolved(base / given)
    if path == base or not path.is_relative_to(base):
        raise JobError(
            f"{name} {given!r} is not a folder in {store_paths.text_of(base)}, where the relative folders of this "
            "workflow are."
        )
    return path


def _in_root(name: str, given: str) -> Place:
    """Return an absolute folder if it is in one of ``[cwl] output_roots``, and in nothing else of the plugin."""
    path, problems = _stored(name, given) or _resolved(Path(given)), config.root_problems()
    inside = [root for root in config.named_roots() if path.is_relative_to(root)]
    if not inside:
        raise JobError(
            f"{name} {given!r} is not in a folder that jobs may name: use a relative path, or have an administrator "
            f"add a folder to [{config.SECTION}] output_roots."
        )
    for root in inside:
        if root in problems:
            raise JobError(f"{name} {given!r} can't be used: {problems[root]}")
    if _overlap(path, config.outputs_folder()):
        raise JobError(
            f"{name} {given!r} overlaps {store_paths.text_of(config.outputs_folder())}, which has the outputs of all "
            "workflows: use a relative path for a folder in it."
        )
    return _place(path, min(inside, key=lambda root: len(root.parts)))


def _stored(name: str, given: str) -> Path | None:
    """Return what an address in a store is as a path; None for what is no address."""
    path = store_paths.path_of(given)
    if path is None:
        return None
    _scheme, _sign, rest = given.partition("://")
    bucket, _slash, key = rest.partition("/")
    problem = "it names a connection, which the site does" if "@" in bucket else key_problem(key)
    if "//" in key or "\\" in key:
        problem = "a folder in it has no name, or a backslash in it"
    if problem:
        raise JobError(f"{name} {without_login(given)!r} can't be used: {problem}.")
    return path


def _check_key(path: Path) -> None:
    """Refuse a place in a store below which nothing can be written, before anything is computed for it."""
    if (address := store_paths.address_of(path)) is None:
        return
    key = address.partition("://")[2].partition("/")[2]
    if problem := key_problem(key):
        raise JobError(f"The outputs of this run can't be delivered to {address}: {problem}.")


def _place(path: Path, root: Path) -> Place:
    return Place(root, path.relative_to(root).parts)


def _resolved(path: Path) -> Path:
    """Return a path with links resolved; raise :class:`JobError` for links that lead in a circle."""
    try:
        return Path(os.path.realpath(path, strict=False))
    except OSError as error:
        raise JobError(f"{path} can't be used: {error.strerror}.") from error


def _overlap(one: Path, other: Path) -> bool:
    return one.is_relative_to(other) or other.is_relative_to(one)


def _check_name(name: str) -> None:
    """Refuse names of Dags and runs that are no names of folders; Airflow's own API takes them."""
    if name.startswith(".") or "/" in name or "\0" in name or not name:
        raise JobError(f"{name[:80]!r} can't be the name of a run: it begins with '.', or has '/' in it.")
