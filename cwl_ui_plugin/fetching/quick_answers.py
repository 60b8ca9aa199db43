"""Asking a store from a server that others wait for: within some seconds, and by a few threads.

Stores are opened anew when their Connection has changed, while Airflow keeps those that it has opened, with the
Connections of then; and no more than a few questions are asked of a bucket at a time, so that one that is silent takes
no more threads than that.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from cwl_ui_plugin.fetching.connecting import Deadline
from cwl_ui_plugin.fetching.errors import Away
from cwl_ui_plugin.fetching.storage_errors import SERVER, Doing, in_words
from cwl_ui_plugin.fetching.storage_roots import StorageAddress, StorageRoot, shown
from cwl_ui_plugin.fetching.waiting import Item, awaited

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

SECONDS = 15.0
"""How long a store may take to answer."""
_QUICK: dict[str, Any] = {"connect_timeout": 5, "read_timeout": 10, "retries": {"max_attempts": 1}}
KEPT_SECONDS = 300.0
"""How long what was made of a Connection is used: what it may do may be for a while only."""
Made = TypeVar("Made")


@dataclass(frozen=True)
class Questions:
    """Questions of a kind: how many a bucket is asked at a time by a process, those included that nobody waits for
    any more; and how long one waits for its turn.
    """

    at_once: int
    wait_seconds: float = 0.0
    doing: Doing = "read"


LOOKING = Questions(4)
READING = Questions(12, wait_seconds=5.0)
"""Of what users have sent to them: some of the threads of a server must be left for others."""
WRITING = Questions(8, doing="written")
_kept: dict[tuple[str, str, str | None, str], tuple[bytes, float, Any]] = {}
_kept_lock = threading.Lock()
_slots: dict[tuple[str, str, Questions], threading.BoundedSemaphore] = {}
_slots_lock = threading.Lock()


def answered(
    address: StorageAddress,
    ask: Callable[[AbstractFileSystem], Item],
    questions: Questions,
    *,
    seconds: float | None = None,
    opened: list[AbstractFileSystem] | None = None,
) -> Item:
    """Return what a store answers; the thread that asks gives its place back when the store lets go of it.

    ``opened`` is what whoever asks several times has of it: the store, once it was opened.

    Raises:
        FetchError: in words; the store does not answer in time (:data:`SECONDS`), or is asked too much just now.

    """
    place, seconds = shown(address.url), seconds or SECONDS
    slots = slots_of(address.root, questions)
    if not slots.acquire(timeout=questions.wait_seconds):
        raise Away(f"The store of {place} is slow: too many others wait for it already. Try again in a minute.")

    def answer() -> Iterator[Item]:
        try:
            with in_words(address, questions.doing, SERVER):
                result = ask(_once_opened(address.root, opened))
        finally:
            slots.release()
        yield result

    late = f"The store of {place} did not answer within {seconds:g} seconds. Try again later."
    (found,) = awaited(answer(), Deadline(seconds, late, Away), lambda: None)
    return found


def slots_of(root: StorageRoot, questions: Questions) -> threading.BoundedSemaphore:
    """Return the places for questions of a kind that a bucket is asked."""
    with _slots_lock:
        return _slots.setdefault((*root.place, questions), threading.BoundedSemaphore(questions.at_once))


def kept(root: StorageRoot, what: str, make: Callable[[], Made]) -> Made:
    """Return what was made for a place a moment ago, with the Connection as it is now; else make it.

    Raises:
        AirflowNotFoundException: there is no such Connection; Airflow's own hook would go on without a login.

    """
    key, connection = (*root.place, root.connection, what), _connection_now(root)
    with _kept_lock:
        found = _kept.get(key)
        if found is not None and found[0] == connection and found[1] > time.monotonic():
            made: Made = found[2]
            return made
    made = make()
    with _kept_lock:
        _kept[key] = (connection, time.monotonic() + KEPT_SECONDS, made)
    return made


def _connection_now(root: StorageRoot) -> bytes:
    """Return what changes when the Connection of a place does, which tells nothing of it."""
    from airflow.sdk.definitions.connection import Connection

    if root.connection is None:
        return b""
    found = Connection.get(root.connection)
    told = repr([found.conn_type, found.host, found.login, found.password, found.schema, found.port, found.extra])
    return hashlib.sha256(told.encode("utf-8", "replace")).digest()


def _once_opened(root: StorageRoot, opened: list[AbstractFileSystem] | None) -> AbstractFileSystem:
    if opened is None:
        return _opened(root)
    if not opened:
        opened.append(_opened(root))
    return opened[0]


def _opened(root: StorageRoot) -> AbstractFileSystem:
    from airflow.sdk.io.fs import get_fs

    if root.scheme.startswith("s3"):
        return kept(root, "store", lambda: _opened_s3(root))
    _connection_now(root)
    system: AbstractFileSystem = get_fs(root.scheme, root.connection)
    return system


def _opened_s3(root: StorageRoot) -> AbstractFileSystem:
    from airflow.sdk.io.fs import get_fs

    system: AbstractFileSystem = get_fs(root.scheme, root.connection, _QUICK.copy())
    type(system).clear_instance_cache()  # fsspec would keep each of them for ever
    system.retries = 1
    return system
