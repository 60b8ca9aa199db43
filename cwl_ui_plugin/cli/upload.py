"""``cwl-ui-plugin upload``: send workflows with the files that they refer to."""

from __future__ import annotations

import argparse
import io
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from cwl_ui_plugin import addresses
from cwl_ui_plugin.cli.client import Client, add_server_arguments, path_of, problem_lines
from cwl_ui_plugin.cli.errors import ServerError, UnsupportedWorkflow, UsageError
from cwl_ui_plugin.library.paths import absolute

POLL_SECONDS = 0.15


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("files", nargs="+", metavar="FILE", help="a CWL document (file or file#process), or a zip")
    parser.add_argument("--dag-id", help="name of the workflow; default: from the file's name")
    parser.add_argument("--main", help="the main document, in a zip")
    parser.add_argument("--replace", action="store_true", help="make it a new version of the workflow of that name")
    add_server_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Upload each file; print name and address of each workflow."""
    if arguments.dag_id and len(arguments.files) > 1:
        raise UsageError("--dag-id names one workflow; give one file with it.")
    client = Client.of(arguments)
    for file in arguments.files:
        uploaded = upload(
            client,
            file,
            dag_id=arguments.dag_id,
            main=arguments.main,
            replace=arguments.replace,
            progress=lambda text: print(text, file=sys.stderr),
        )
        print(f"{uploaded['dag_id']}\t{client.url}{addresses.workflow_page(uploaded['dag_id'])}")
    return 0


def upload(
    client: Client,
    file: str,
    *,
    dag_id: str | None = None,
    main: str | None = None,
    replace: bool = False,
    progress: Callable[[str], None] = lambda _text: None,
) -> dict[str, Any]:
    """Upload one workflow and wait until it can be run; return the state of the upload."""
    path, fragment = split_fragment(file)
    if not path.is_file():
        raise UsageError(f"There is no file {path}.")
    name, content, chosen = packed(path)
    fields = {
        "dag_id": dag_id,
        "main": f"{main or chosen}{fragment}" if main or chosen else None,
        "replace": "true" if replace else None,
    }
    if fragment and not fields["main"]:
        fields["main"] = name + fragment
    answer = client.post(
        "/workflows",
        params={"wait": "false"},
        form={**{key: value for key, value in fields.items() if value}, "files": (name, content)},
    )
    return _wait(client, answer, path, progress)


def local_name(name: str) -> str:
    """Return the path that a ``file://`` URI names, its ``#fragment`` kept; a path stays as it is."""
    if not name.startswith("file://"):
        return name
    parts = urlsplit(name)
    return unquote(parts.path) + (f"#{parts.fragment}" if parts.fragment else "")


def split_fragment(file: str) -> tuple[Path, str]:
    """Split ``file#process``, a path or a ``file://`` URI; a file whose name has a ``#`` is that file."""
    file = local_name(file)
    if Path(file).is_file():
        return absolute(Path(file)), ""
    path, hash_sign, fragment = file.rpartition("#")
    return (absolute(Path(path)), hash_sign + fragment) if path else (Path(file), "")


def packed(path: Path) -> tuple[str, bytes, str | None]:
    """Return name and content to send for a document, and which file in it is the main one.

    A document that refers to others goes as a zip with the same folders.
    """
    from cwl_ui_plugin.library.closure import TooManyFiles, closure, common_folder

    if path.suffix == ".zip":
        return path.name, path.read_bytes(), None
    try:
        files = closure(path)
    except TooManyFiles as error:
        raise UsageError(str(error)) from error
    if len(files) == 1:
        return path.name, path.read_bytes(), None
    root = common_folder(files)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            archive.write(file, file.relative_to(root).as_posix())
    return f"{path.stem}.zip", buffer.getvalue(), absolute(path).relative_to(root).as_posix()


def _wait(client: Client, state: dict[str, Any], path: Path, progress: Callable[[str], None]) -> dict[str, Any]:
    shown = None
    while state["state"] not in ("done", "failed"):
        if state["message"] != shown:
            shown = state["message"]
            progress(f"{path.name}: {shown}")
        time.sleep(POLL_SECONDS)
        state = client.get(f"/uploads{path_of(state['id'])}")
    if state["state"] == "done":
        return state
    text = "\n".join([f"{path}: {state['message']}", *(f"  {line}" for line in problem_lines(state))])
    raise UnsupportedWorkflow(text) if state.get("unsupported") else ServerError(text, state.get("status"))
