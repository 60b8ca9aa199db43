"""How long the elements of a scattered step took in earlier runs, so that short ones share a task instance.

A task instance costs a fraction of a second, whatever it runs. Elements that took less than one share task instances,
so that a batch lasts some seconds; one that was longer shows that others may be, and each gets its own again.

``.control/elements/<key>.json`` in the control folder; the key is made of the step's document, so that another version
of a workflow with the same step knows it, too. It is a hint: nothing is wrong where it is missing. Those that no run
has written for some months are removed when a step gets its first.
"""

from __future__ import annotations

import hashlib
import logging
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cwl_ui_plugin import config
from cwl_ui_plugin.cwl.plan import step_document_text
from cwl_ui_plugin.dags.folders import control_files

SHORT_SECONDS = 1.0
MAX_SECONDS = 1e9
KEPT_SECONDS = 180 * 24 * 3600.0
log = logging.getLogger(__name__)
_FOLDER = "elements"


@dataclass(frozen=True)
class ElementTimes:
    """Seconds of an element in the last run: the mean, and the longest as far as that is known.

    Of elements that ran in a batch, side by side, only the mean is.
    """

    mean: float
    longest: float

    def batches(self, count: int) -> int | None:
        """Return among how many task instances to divide elements; None if they are not short."""
        seconds = config.number("scatter_batch_seconds")
        if seconds <= 0 or not 0 <= self.longest < SHORT_SECONDS:
            return None
        return max(1, math.ceil(self.mean * count / seconds))


def known(compiled: Path, document: str) -> ElementTimes | None:
    """Return how long the elements of a step took, by its step document; None if that is not known."""
    try:
        return control_files.read(ElementTimes, _file(compiled, document))
    except (OSError, config.ConfigError) as error:
        log.debug("How long elements took can't be read: %s", error)
        return None


def keep(compiled: Path, document: str, batches: Iterable[tuple[int, Mapping[str, Any]]]) -> None:
    """Keep how long elements took: of each batch their number, and its statistics. What was not run tells nothing."""
    measured = [
        (count, seconds)
        for count, statistics in batches
        if count and not statistics.get("reused") and (seconds := _seconds(statistics)) is not None
    ]
    if not measured:
        return
    mean = sum(seconds for _count, seconds in measured) / sum(count for count, _seconds in measured)
    times = ElementTimes(mean, max(seconds / count for count, seconds in measured))
    try:
        file = _file(compiled, document)
        is_new = not file.exists()
        control_files.write(file, asdict(times))
        if is_new:
            _remove_old(file)
    except (OSError, config.ConfigError) as error:
        log.debug("How long elements took can't be kept: %s", error)


def _seconds(statistics: Mapping[str, Any]) -> float | None:
    """Return how long a batch took; None where that is not said, or is nothing that can be."""
    seconds = statistics.get("seconds")
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        return None
    return float(seconds) if 0 <= seconds < MAX_SECONDS else None


def _remove_old(new: Path) -> None:
    """Remove what no run has written for long; ``new`` has been written just now, by the clock of the same machine."""
    now = new.stat().st_mtime
    with os.scandir(new.parent) as entries:
        old = [
            entry.path
            for entry in entries
            if entry.is_file(follow_symlinks=False) and now - entry.stat(follow_symlinks=False).st_mtime > KEPT_SECONDS
        ]
    for path in old:
        control_files.remove(Path(path))


def _file(compiled: Path, document: str) -> Path:
    key = hashlib.sha256(step_document_text(compiled, document).encode()).hexdigest()[:32]
    return config.control_folder() / _FOLDER / f"{key}.json"
