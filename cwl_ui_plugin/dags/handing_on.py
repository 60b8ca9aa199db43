"""What tasks hand on: an XCom of Airflow, or a file that the XCom names, where a value is too large for one.

Airflow's API server and its database take an XCom as one value. So what has more than :data:`LARGE` bytes as JSON is
kept in a file of the run (``folders.kept_values``), and its XCom is ``{"cwl/kept": {"size", "sha256", ...}}``: no
output is called so, as its name has a slash. Whatever reads what a task has handed on does it by this module.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, BinaryIO, Protocol

from cwl_ui_plugin import config
from cwl_ui_plugin.cwl import value_files
from cwl_ui_plugin.cwl.errors import StepError
from cwl_ui_plugin.cwl.files import file_objects
from cwl_ui_plugin.cwl.value_files import TooLargeError, Written
from cwl_ui_plugin.dags.errors import LostValueError
from cwl_ui_plugin.dags.names import STATISTICS_KEY
from cwl_ui_plugin.dags.sharing import shares_folders
from cwl_ui_plugin.dags.xcom_values import is_larger, json_size, packed, unpacked

KEPT = "cwl/kept"
LARGE = 1024 * 1024
"""Bytes of JSON; a value with more is kept in a file."""
LOADED = 8 * 1024 * 1024
"""Bytes of a file of values; one with more is read bit by bit by whoever can."""
MAX_XCOM = 128 * 1024 * 1024
"""Bytes of JSON that users' own tasks get as one XCom."""
log = logging.getLogger(__name__)
Run = tuple[str, str]
"""dag_id and run_id."""


class ValueStore(Protocol):
    """Where files of values are."""

    def keep_value(self, run: Run, write: Callable[[BinaryIO], Written]) -> Written:
        """Keep what ``write`` writes into a file; raise :class:`OSError`, or :class:`StepError`, where that fails."""

    def open_value(self, run: Run, known: Written) -> BinaryIO:
        """Open a file of a run; raise :class:`OSError`, or :class:`StepError`, where it can't be had."""


def as_xcom(run: Run, values: object, store: ValueStore) -> dict[str, Any]:
    """Return the XCom by which other tasks of the plugin get values (JSON), which are kept in a file if they are large.

    Raises:
        StepError: they have more bytes than ``[cwl] max_handed_on_size``.
        OSError: they can't be kept.

    """
    most = config.number("max_handed_on_size")
    if not isinstance(values, dict) or not is_larger(values, min(LARGE, most)):
        plain: dict[str, Any] = packed(values)
        return plain
    rest = {name: value for name, value in values.items() if name != STATISTICS_KEY}
    try:
        known = store.keep_value(run, lambda file: value_files.write(rest, file, most))
    except TooLargeError as error:
        raise _too_large(values, most) from error
    statistics = {STATISTICS_KEY: packed(values[STATISTICS_KEY])} if STATISTICS_KEY in values else {}
    return {KEPT: known.as_json(), **statistics}


def check_size(values: object, most: float) -> None:
    """Raise :class:`StepError` for values that have more than ``most`` bytes as JSON."""
    if is_larger(values, most):
        raise _too_large(values, most)


def known_file(xcom: object) -> Written | None:
    """Return what is known of the file that an XCom names; None where it is the values themselves."""
    return Written.of(xcom.get(KEPT)) if isinstance(xcom, dict) else None


def values_of(run: Run, xcom: object, store: ValueStore | None = None) -> Any:
    """Return what a task of a run has handed on, with a ``LongList`` for each long list of a file that is large.

    A task that holds its lease has a ``store``; all others read what is kept on this machine, or is fetched to stay.

    Raises:
        LostValueError: its file is gone, or is not what was written.

    """
    known = known_file(xcom)
    if known is None:
        found: Any = unpacked(xcom)
        return {key: item for key, item in found.items() if key != STATISTICS_KEY} if isinstance(found, dict) else found
    with _reading():
        values = value_files.read(partial(store.open_value if store else _open_here, run, known), known)
        return value_files.whole(values) if known.size <= LOADED else values


def in_memory(values: Any) -> Any:
    """Return values with all lists in memory, as tools need them; raise :class:`StepError` where that can't be had."""
    with failing_where_lost():
        return value_files.whole(values) if value_files.has_long(values) else values


@contextmanager
def failing_where_lost() -> Iterator[None]:
    """Read what tasks have handed on, also parts of lists; raise :class:`StepError` where that can't be had."""
    try:
        with _reading():
            yield
    except LostValueError as error:
        raise StepError(str(error)) from error


def shown_values(run: Run, xcom: object) -> Any:
    """The same as :func:`values_of` for pages and answers: None, and a line in the log, for what is lost."""
    try:
        return values_of(run, xcom)
    except LostValueError as error:
        log.warning("Of the run %s of %s: %s", run[1], run[0], error)
        return None


def _open_here(run: Run, known: Written) -> BinaryIO:
    from cwl_ui_plugin.fetching.site import intermediate_root

    root = None if shares_folders() else intermediate_root()
    if root is None:
        from cwl_ui_plugin.dags.folders import kept_values

        return kept_values.open_kept(*run, known)
    from cwl_ui_plugin.dags.staging.objects import Objects
    from cwl_ui_plugin.dags.staging.staged_values import open_served

    return open_served(Objects(root), run, known)


@contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except (OSError, value_files.DamagedError) as error:
        raise LostValueError(
            "A value that a task has handed on can't be read any more: its file below [cwl] tmp_folder is gone, or was "
            f"changed ({error}). Clear that task, with all tasks after it, or start the run again."
        ) from error


def _too_large(values: object, most: float) -> StepError:
    return StepError(
        f"It hands on {json_size(values) / 1e6:.1f} MB that name {sum(1 for _file in file_objects(values))} files, and "
        f"that is more than the {most / 1e6:.1f} MB which [cwl] max_handed_on_size allows: each task that reads them "
        "has all of it in memory. Hand on a Directory instead of a list of its files."
    )
