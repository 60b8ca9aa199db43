"""Asking what may never answer, such as a network file system: for a while, and not once more while that goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any, TypeVar

T = TypeVar("T")
_asked: dict[str, Future[Any]] = {}
_lock = threading.Lock()


class TimedOut(Exception):
    """Nothing has answered in time."""


def within(seconds: float, name: str, question: Callable[[], T]) -> T:
    """Return what ``question`` returns, or raise what it raises; raise :class:`TimedOut` after some seconds."""
    return answer_of(ask(name, question), seconds)


def ask(name: str, question: Callable[[], T]) -> Future[T] | None:
    """Begin to ask; return None as long as an earlier question of that name has no answer."""
    with _lock:
        earlier = _asked.get(name)
        if earlier is not None and not earlier.done():
            return None
        asked: Future[T] = Future()
        _asked[name] = asked
    # A daemon: a server that ends does not wait for it, either.
    threading.Thread(target=_answer, args=(asked, question), name="cwl-observing", daemon=True).start()
    return asked


def answer_of(asked: Future[T] | None, seconds: float) -> T:
    """Return the answer to what was asked; raise what it raises, or :class:`TimedOut` after some seconds."""
    if asked is None:
        raise TimedOut
    try:
        return asked.result(max(0.0, seconds))
    except FutureTimeout as error:
        if asked.done():
            raise
        raise TimedOut from error


def _answer(asked: Future[T], question: Callable[[], T]) -> None:
    try:
        asked.set_result(question())
    except BaseException as error:
        asked.set_exception(error)
