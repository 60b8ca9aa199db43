"""What the commands of a run have printed, in its crate: by choice, since it may be long, and anything may be in it."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO, cast
from urllib.parse import quote

from cwl_ui_plugin.dags.folders.run_folder import TaskTry
from cwl_ui_plugin.plain_words import bytes_text
from cwl_ui_plugin.services.crates.actions import action_of
from cwl_ui_plugin.services.crates.facts import RunFacts
from cwl_ui_plugin.services.crates.files import Opener
from cwl_ui_plugin.services.crates.graph import CrateGraph
from cwl_ui_plugin.services.errors import NotFound
from cwl_ui_plugin.services.monitoring import command_logs
from cwl_ui_plugin.services.run_models import StepState

FOLDER = "logs"
MAX_LOG = 16 * 1024 * 1024
"""Bytes of one stream of one task; of a longer one its end."""
MAX_LOGS = 256 * 1024 * 1024
"""Bytes of all of them."""
MAX_FILES = 2_000


@dataclass(frozen=True)
class CrateLogs:
    """The logs that a crate brings along, by name; ``is_cut``: there are more, which it has no room for."""

    brought: dict[str, Opener]
    is_cut: bool


def describe_logs(graph: CrateGraph, facts: RunFacts) -> CrateLogs:
    """Describe what the last try of each task that the crate tells of has printed."""
    brought: dict[str, Opener] = {}
    left = MAX_LOGS
    for state, stream, size in _printed(facts):
        part = min(size, MAX_LOG)
        if len(brought) == MAX_FILES or part > left:
            return CrateLogs(brought, is_cut=True)
        left -= part
        element = f".{state.map_index}" if state.map_index >= 0 else ""
        name = f"{FOLDER}/{state.task_id}{element}.{stream}.txt"
        brought[name] = partial(_open, facts, state, stream, size)
        graph.add_part(
            quote(name),
            "File",
            name=f"{'standard output' if stream == 'stdout' else 'standard error'} of {state.label}",
            description=f"The last {bytes_text(MAX_LOG)} of {size} bytes." if size > part else None,
            encodingFormat="text/plain",
            contentSize=str(part),
            about={"@id": action_of(state)},
        )
    return CrateLogs(brought, is_cut=False)


def _printed(facts: RunFacts) -> Iterator[tuple[StepState, str, int]]:
    """Yield the streams in which something was printed, and how much that is now."""
    for executions in facts.executions.values():
        for state in (execution.state for execution in executions if execution.state.started_at):
            for stream in command_logs.STREAMS:
                try:
                    with command_logs.open_log(_try(facts, state), stream) as file:
                        size = os.fstat(file.fileno()).st_size
                except (NotFound, OSError):
                    continue
                if size:
                    yield state, stream, size


def _try(facts: RunFacts, state: StepState) -> TaskTry:
    summary = facts.run.summary
    return TaskTry(summary.dag_id, summary.run_id, state.task_id, state.map_index, state.try_number)


def _open(facts: RunFacts, state: StepState, stream: str, size: int) -> BinaryIO:
    """Open the end of a log as it was when it was described: a command may print more meanwhile."""
    try:
        file = command_logs.open_log(_try(facts, state), stream)
    except NotFound as error:
        raise FileNotFoundError(str(error)) from error  # removed meanwhile
    part = min(size, MAX_LOG)
    file.seek(size - part)
    return cast("BinaryIO", _Part(file, part))


class _Part(io.RawIOBase):
    """So many bytes of a file, from where it is."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self._left = file, size

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes."""
        content = self._file.read(self._left if size < 0 else min(size, self._left))
        self._left -= len(content)
        return content

    def close(self) -> None:
        """Close the file, too."""
        self._file.close()
        super().close()
