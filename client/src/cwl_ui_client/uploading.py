"""Uploading a workflow with the files that it refers to."""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from cwl_ui_client.closure import closure, common_folder
from cwl_ui_client.errors import Invalid, ServerError, UnsupportedWorkflow, UsageError, problem_lines
from cwl_ui_client.models import Progress, Upload
from cwl_ui_client.names import absolute
from cwl_ui_client.steps import Answer, Flow, Form, Pause, Request, get, path_of, post

POLL_SECONDS = 0.15
UPLOAD_SECONDS = 600.0
_ADDRESSES = ("trs://", "http://", "https://", "git+https://", "#workflow/")
Report = Callable[[Progress], None]


def silent(_progress: Progress) -> None:
    """Tell nobody."""


def upload(
    document: str,
    *,
    dag_id: str | None = None,
    main: str | None = None,
    replace: bool = False,
    report: Report = silent,
) -> Flow[Upload]:
    """Upload a document (file, or file#process) or a zip, and wait until it can be run.

    Raises:
        UsageError: there is no such file.
        Invalid: it can't be used, with a problem for each place; :class:`UnsupportedWorkflow` for valid CWL that the
            server can't run.

    """
    path, fragment = split_fragment(document)
    name, content, chosen = packed(path)
    main = main or chosen or (name if fragment else None)
    fields = {"dag_id": dag_id, "main": f"{main}{fragment}" if main else None, "replace": "true" if replace else None}
    form: Form = {**{key: value for key, value in fields.items() if value}, "files": (name, content)}
    answer: Answer = yield Request("POST", "/workflows", params={"wait": "false"}, form=form, timeout=UPLOAD_SECONDS)
    return (yield from _ended(answer.json(), path.name, report))


def is_address(name: str) -> bool:
    """Whether the server is to fetch a workflow: no file has such a name."""
    return name.startswith(_ADDRESSES) and not Path(name).exists()


def import_workflow(
    address: str,
    *,
    ref: str | None = None,
    main: str | None = None,
    dag_id: str | None = None,
    replace: bool = False,
    report: Report = silent,
) -> Flow[Upload]:
    """Have the server fetch a workflow from a registry, a repository or an address, and wait until it can be run."""
    wanted = {"url": address, "ref": ref, "path": main, "dag_id": dag_id, "replace": replace}
    state = yield from post("/workflows/import", wanted, params={"wait": "false"}, timeout=UPLOAD_SECONDS)
    return (yield from _ended(state, address, report))


def _ended(state: dict[str, Any], name: str, report: Report) -> Flow[Upload]:
    while state["state"] not in ("done", "failed"):
        report(Progress("uploading", f"{name}: {state['message']}"))
        yield Pause(POLL_SECONDS)
        state = yield from get(f"/uploads{path_of(state['id'])}")
    if state["state"] == "failed":
        raise _failure(name, state)
    return Upload.of(state)


def content_id(document: str) -> str:
    """Return a name for a document that is made from its content, so that the same one is uploaded once."""
    path, fragment = split_fragment(document)
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", path.stem).strip("-.") or "workflow"
    digest = hashlib.sha256(stable(path)).hexdigest()
    return f"{name[:100]}-{hashlib.sha256(f'{digest}{fragment}'.encode()).hexdigest()[:12]}"


def stable(path: Path) -> bytes:
    """Return the contents of a document and its files; a zip of them has times in it, too."""
    files = [path] if path.suffix == ".zip" else closure(path)
    if len(files) == 1:
        return path.read_bytes()
    root = common_folder(files)
    return b"\0".join(f"{file.relative_to(root)}\0".encode() + file.read_bytes() for file in files)


def local_name(name: str) -> str:
    """Return the path that a ``file://`` URI names, its ``#fragment`` kept; a path stays as it is."""
    if not name.startswith("file://"):
        return name
    parts = urlsplit(name)
    return unquote(parts.path) + (f"#{parts.fragment}" if parts.fragment else "")


def split_fragment(document: str) -> tuple[Path, str]:
    """Split ``file#process``, a path or a ``file://`` URI; a file whose name has a ``#`` is that file.

    Raises:
        UsageError: there is no such file.

    """
    name = local_name(document)
    if Path(name).is_file():
        return absolute(Path(name)), ""
    plain, hash_sign, fragment = name.rpartition("#")
    path = absolute(Path(plain)) if plain else Path(name)
    if not path.is_file():
        raise UsageError(f"There is no file {path}.")
    return path, hash_sign + fragment


def packed(path: Path) -> tuple[str, bytes, str | None]:
    """Return name and content to send for a document, and which file in it is the main one.

    A document that refers to others goes as a zip with the same folders.
    """
    if path.suffix == ".zip":
        return path.name, path.read_bytes(), None
    files = closure(path)
    if len(files) == 1:
        return path.name, path.read_bytes(), None
    root = common_folder(files)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            archive.write(file, file.relative_to(root).as_posix())
    return f"{path.stem}.zip", buffer.getvalue(), absolute(path).relative_to(root).as_posix()


def _failure(name: str, state: dict[str, object]) -> ServerError:
    text = "\n".join([f"{name}: {state['message']}", *(f"  {line}" for line in problem_lines(state))])
    status, problems = state.get("status"), state.get("problems")
    kind = UnsupportedWorkflow if state.get("unsupported") else Invalid
    return kind(text, status if isinstance(status, int) else None, problems if isinstance(problems, list) else ())
