"""Pictures among the outputs of a run, within the report of it: as data, so that the report stays one file."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from pathlib import PurePosixPath

from cwl_ui_plugin.services.errors import NotFound
from cwl_ui_plugin.services.outputs import output_files, output_tree
from cwl_ui_plugin.services.previewing.kinds import IMAGES

MAX_PICTURES = 24
MAX_BYTES = 2 * 1024 * 1024
"""Of a picture; larger ones are named alone."""
MAX_TOTAL = 12 * 1024 * 1024
_BEGINNINGS = {".png": b"\x89PNG\r\n\x1a\n", ".jpg": b"\xff\xd8\xff", ".jpeg": b"\xff\xd8\xff", ".svg": b""}


@dataclass(frozen=True)
class Shown:
    """A picture: ``data`` is its address with all of it in it; empty where it is too large, or none of these kinds."""

    path: str
    output: str
    data: str = ""


def pictures_of(dag_id: str, run_id: str) -> list[Shown]:
    """Return the first pictures of a run's outputs."""
    left, found = MAX_TOTAL, []
    for picture in output_tree.pictures(dag_id, run_id).items[:MAX_PICTURES]:
        content = _content(dag_id, run_id, picture.path, min(MAX_BYTES, left))
        left -= len(content)
        suffix = PurePosixPath(picture.path.lower()).suffix
        data = f"data:{IMAGES[suffix]};base64,{b64encode(content).decode()}" if content else ""
        found.append(Shown(picture.path, picture.output, data))
    return found


def _content(dag_id: str, run_id: str, path: str, most: int) -> bytes:
    """Return a picture of a kind that every browser knows; nothing where it has more than ``most`` bytes."""
    beginning = _BEGINNINGS.get(PurePosixPath(path.lower()).suffix)
    if beginning is None or most <= 0:
        return b""
    try:
        with output_files.open_output(dag_id, run_id, path) as file:
            content = file.read(most + 1)
    except (NotFound, OSError):
        return b""
    return content if len(content) <= most and content.startswith(beginning) else b""
