"""From what a user sends to a folder of files that can be compiled. Everything in an upload is hostile."""

from __future__ import annotations

import io
import lzma
import re
import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from cwl_ui_plugin.library.errors import BadUpload, UploadTooLarge
from cwl_ui_plugin.library.paths import make_executable
from cwl_ui_plugin.plain_words import bytes_text

CHUNK = 1024 * 1024
DOCUMENT_SUFFIXES = (".cwl", ".yml", ".yaml", ".json")
MAIN_NAMES = ("main.cwl", "workflow.cwl", "packed.cwl")
_CWL_VERSION = re.compile(rb"""^\s*["']?cwlVersion["']?\s*:""", re.MULTILINE)
_SCANNED_BYTES = 256 * 1024
_ENTRY_BYTES = 1024
"""What a file may take in the list of files that a zip ends with: its name, and some 50 bytes."""
_BAD_ZIP = (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, UnicodeError, zlib.error, lzma.LZMAError)
"""What zipfile raises for a zip that is broken, encrypted (RuntimeError), packed in a way it does not know, or that has
names in UTF-8 which are not (UnicodeError)."""


@dataclass(frozen=True)
class Limits:
    """Bounds of an upload: bytes as sent, bytes and number of files after unpacking."""

    upload_bytes: int
    unpacked_bytes: int
    unpacked_files: int


@dataclass(frozen=True)
class UploadedFile:
    """One file of an upload; ``name`` is what the client calls it, possibly with folders."""

    name: str
    stream: BinaryIO


def unpack(files: Iterable[UploadedFile], folder: Path, limits: Limits) -> list[str]:
    """Put the files of an upload into ``folder``; a single zip is unpacked. Return their names, sorted.

    Raises:
        UploadTooLarge: more bytes or files than ``limits`` allow.
        BadUpload: nothing sent, a name that leaves the folder, a link, or a broken zip.

    """
    uploads = list(files)
    if not uploads:
        raise BadUpload("No file was sent: choose a CWL document, several files, or a zip.")
    folder.mkdir(parents=True, exist_ok=True)
    if len(uploads) == 1 and _is_zip(uploads[0]):
        _unpack_zip(uploads[0], folder, limits)
    else:
        left = limits.upload_bytes
        for upload in uploads:
            left -= _save(upload.stream, folder / safe_name(upload.name), left, _too_large(limits))
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def find_main(folder: Path, names: list[str], wanted: str | None = None) -> str:
    """Return the main document of an upload, with the ``#fragment`` of ``wanted`` if it has one.

    Without ``wanted``: the only CWL document, or the only one in the highest folder that has any, or the one
    there that is called main.cwl, workflow.cwl or packed.cwl.
    """
    if wanted:
        path, hash_sign, fragment = wanted.partition("#")
        name = safe_name(path).as_posix()
        if name not in names:
            raise BadUpload(f"The upload has no file {path!r}; it has {_some(names)}.")
        return name + hash_sign + fragment
    documents = [name for name in names if _is_document(folder / name)] or [
        name for name in names if name.endswith(DOCUMENT_SUFFIXES)
    ]
    if len(names) == 1:
        return names[0]
    if not documents:
        raise BadUpload(f"No CWL document (a file with cwlVersion) is in the upload; it has {_some(names)}.")
    return _most_likely(documents)


def propose_dag_id(filename: str, main: str) -> str:
    """Make a dag_id from the name of the file that was sent, or of the main document."""
    path, _, fragment = main.partition("#")
    name = PurePosixPath(filename or path).name
    stem = name[: -len(".zip")] if name.lower().endswith(".zip") else PurePosixPath(path).stem
    if fragment and fragment != "main":
        stem = f"{stem}-{fragment}"
    cleaned = re.sub(r"[^A-Za-z0-9_.-]+", "-", stem).strip("-.")
    return cleaned[:200] or "workflow"


def safe_name(name: str) -> PurePosixPath:
    """Return ``name`` as a relative path that stays inside; raise :class:`BadUpload` for any other."""
    path = PurePosixPath(name)
    if not path.parts or path.is_absolute() or ".." in path.parts or "\0" in name:
        raise BadUpload(f"The name {name!r} in the upload leads out of its folder; only relative names are allowed.")
    return path


def _most_likely(documents: list[str]) -> str:
    depth = min(name.count("/") for name in documents)
    highest = [name for name in documents if name.count("/") == depth]
    if len(highest) == 1:
        return highest[0]
    for wanted in MAIN_NAMES:
        for name in highest:
            if PurePosixPath(name).name == wanted:
                return name
    raise BadUpload(f"Which document is the main one? Name it; the upload has {_some(highest)}.")


def _is_document(path: Path) -> bool:
    if not path.name.endswith(DOCUMENT_SUFFIXES):
        return False
    with path.open("rb") as file:
        head = file.read(_SCANNED_BYTES)
    return bool(_CWL_VERSION.search(head)) or b'"cwlVersion"' in head


def _is_zip(upload: UploadedFile) -> bool:
    start = upload.stream.read(4)
    upload.stream.seek(0)
    return start in (b"PK\x03\x04", b"PK\x05\x06") or upload.name.lower().endswith(".zip")


def _unpack_zip(upload: UploadedFile, folder: Path, limits: Limits) -> None:
    with open_zip(upload, folder.with_name(f"{folder.name}.zip"), limits) as archive:
        _extract(archive, folder, limits)


@contextmanager
def open_zip(upload: UploadedFile, packed: Path, limits: Limits) -> Iterator[zipfile.ZipFile]:
    """Yield a zip, kept at ``packed`` meanwhile; use :func:`members` for what is in it.

    Raises:
        UploadTooLarge: more bytes or files than ``limits`` allow.
        BadUpload: it is broken, also where that is found out while it is read.

    """
    try:
        _save(upload.stream, packed, limits.upload_bytes, _too_large(limits))
        with _PackedFile(packed, limits) as file, zipfile.ZipFile(file) as archive:
            yield archive
    except _BAD_ZIP as error:
        raise BadUpload(f"{upload.name!r} can't be unpacked: {error}") from error
    finally:
        packed.unlink(missing_ok=True)


class _PackedFile(io.BufferedReader):
    """A zip that is read in parts of bounded size.

    zipfile reads the list of files at once, and makes an object of each of them, before it tells how many they are.
    """

    def __init__(self, path: Path, limits: Limits) -> None:
        super().__init__(io.FileIO(path))
        self._limits = limits
        self._most = CHUNK + limits.unpacked_files * _ENTRY_BYTES

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > self._most:
            raise UploadTooLarge(
                f"The zip lists far more than the {self._limits.unpacked_files} files that are allowed "
                "([cwl] max_unpacked_files)."
            )
        return super().read(size)


def members(archive: zipfile.ZipFile, limits: Limits) -> list[zipfile.ZipInfo]:
    """Return the files in a zip, all plain and with names that stay inside; raise as :func:`open_zip` does."""
    found = [member for member in archive.infolist() if not member.is_dir()]
    if not found:
        raise BadUpload("The zip is empty.")
    if len(found) > limits.unpacked_files:
        raise UploadTooLarge(
            f"The zip has {len(found)} files; at most {limits.unpacked_files} are allowed ([cwl] max_unpacked_files)."
        )
    for member in found:
        kind = stat.S_IFMT(member.external_attr >> 16)
        if kind not in (0, stat.S_IFREG):
            raise BadUpload(f"{member.filename!r} in the zip is a link or a special file; only files are allowed.")
        safe_name(member.filename)
    return found


def _extract(archive: zipfile.ZipFile, folder: Path, limits: Limits) -> None:
    message = f"The zip unpacks to more than {bytes_text(limits.unpacked_bytes)} ([cwl] max_unpacked_size)."
    left = limits.unpacked_bytes
    for member in members(archive, limits):
        with archive.open(member) as stream:
            left -= _save(stream, folder / safe_name(member.filename), left, message)  # type: ignore[arg-type]
        if member.external_attr >> 16 & stat.S_IXUSR:
            make_executable(folder / safe_name(member.filename))


def _save(stream: BinaryIO, path: Path, limit: int, too_large: str) -> int:
    """Copy at most ``limit`` bytes into a new file; return how many. No stated size is believed."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        size = 0
        with path.open("xb") as file:
            while chunk := stream.read(CHUNK):
                size += len(chunk)
                if size > limit:
                    raise UploadTooLarge(too_large)
                file.write(chunk)
    except (FileExistsError, NotADirectoryError, IsADirectoryError):
        raise BadUpload(f"The upload has two files that both want to be {path.name!r}.") from None
    except OSError as error:
        raise BadUpload(f"{path.name!r} can't be stored: {error.strerror or error}.") from error
    return size


def _too_large(limits: Limits) -> str:
    return f"The upload is larger than {bytes_text(limits.upload_bytes)} ([cwl] max_upload_size)."


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:8])
    return shown + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def remove(folder: Path) -> None:
    """Remove what an upload left behind."""
    shutil.rmtree(folder, ignore_errors=True)
