"""Which objects a run uses, told in the store itself, so that nobody removes them while the run may read them.

::

    <storage>/runs/<run>/<number>[.<digits>]    {"dag_id", "run_id", "task", "objects": ["sha256/<aa>/<digest>", ...]}
    <storage>/sweeping/<number>                 there while somebody removes objects that no run uses

None is ever written anew. ``<digits>`` are the first ones of each object, where there are few: whoever looks whether a
run has said to hand on an object need not read them all.

A task says first which objects it is going to hand on, and looks then whether somebody removes objects; who removes
some says so first, and looks then what runs have said. One of the two sees the other: the task waits, or its objects
stay. Of a removal that begins later, the task need not wait for the end: it sees what the task has said. That holds
in a store whose listings tell of what was written before, as S3's do. In one where they lag behind, what was written
less than ``OLD_SECONDS`` ago, by the clock of the store, is not removed, and a task writes what is older than half of
that anew.
"""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime, timedelta

from cwl_ui_plugin import config
from cwl_ui_plugin.cwl.errors import StepError
from cwl_ui_plugin.dags.staging import parallel
from cwl_ui_plugin.dags.staging.objects import Objects, written

RUNS = "runs"
SWEEPING = "sweeping"
RESULTS, REUSE = "results", "reuse"
"""What steps have made: for the run that goes on from theirs, and for all; see ``results``."""
OLD_SECONDS = 24 * 3600.0
SWEEP_SECONDS = 30.0
"""How long somebody who has said that objects are being removed may go on with it."""
MAX_MARK = 256 * 1024 * 1024
AT_ONCE = 8
"""Marks that are read side by side."""
MAX_NAMED = 40
"""Objects that the name of a mark tells of; a key has up to 1024 bytes."""
_NAMED_DIGITS = 8
_LOOK_SECONDS = 1.0
_NAME_LENGTH = 32
Wait = Callable[[], None]


def stale_seconds() -> float:
    """Return how old the word of a removal becomes, unless somebody was killed: the last request may be silent."""
    return SWEEP_SECONDS + 2 * config.number("storage_timeout") + SWEEP_SECONDS


def run_name(dag_id: str, run_id: str) -> str:
    """Return what a run is called among the marks; its own names may hold anything."""
    return _name(dag_id, run_id)


def results_of(dag_id: str, run_id: str) -> str:
    """Return what the keys of the results of a run's steps begin with."""
    return f"{RESULTS}/{run_name(dag_id, run_id)}/"


def mark(objects: Objects, dag_id: str, run_id: str, task: str, keys: Iterable[str], on_wait: Wait) -> datetime:
    """Say which objects a try of a task is going to hand on, once nobody removes any; return the store's time.

    Raises:
        FetchError: the store can't be reached.
        StepError: somebody does not end removing.

    """
    said = {"dag_id": dag_id, "run_id": run_id, "task": task, "objects": sorted(keys)}
    named = sorted({_digits(key) for key in said["objects"]}) if len(said["objects"]) <= MAX_NAMED else []
    name = ".".join([uuid.uuid4().hex, *named])
    told = objects.put_text(f"{_marks_of(dag_id, run_id)}{name}", json.dumps(said).encode(), on_wait)
    now = written(told)
    began = time.monotonic()
    words = _sweeping(objects, now, on_wait)
    while words:
        if time.monotonic() - began > stale_seconds() + SWEEP_SECONDS:
            raise StepError("Objects are just being removed, and that takes too long.", kind="temporaryFail")
        time.sleep(_LOOK_SECONDS)
        words &= _sweeping(objects, now + timedelta(seconds=time.monotonic() - began), on_wait)
    return now


class HandedOn:
    """What tasks of a run have said to hand on, read as far as somebody asks for it."""

    def __init__(self, objects: Objects, dag_id: str, run_id: str) -> None:
        self._objects, self._place = objects, _marks_of(dag_id, run_id)
        self._keys: set[str] = set()
        self._read: set[str] = set()

    def others(self, keys: Iterable[str], on_wait: Wait) -> set[str]:
        """Return those objects that no task of the run has said to hand on.

        Raises:
            FetchError: the store can't be asked.

        """
        unknown = set(keys) - self._keys
        if unknown:
            named = {_digits(key) for key in unknown}
            listed = [key for key, _moment in self._objects.listed(self._place, on_wait) if _may_name(key, named)]
            parallel.each((key for key in listed if key not in self._read), self._add, AT_ONCE, on_wait)
        return unknown - self._keys

    def _add(self, key: str, on_wait: Wait) -> None:
        content = self._objects.read(key, MAX_MARK, on_wait)
        with suppress(ValueError):  # it tells of nothing
            self._keys.update(marked(content) if content is not None else ())
        self._read.add(key)


def marked(content: bytes) -> set[str]:
    """Return the objects that a mark names; raise ValueError for what is none: nothing may be removed then."""
    found = json.loads(content)
    if not isinstance(found, dict) or not isinstance(found.get("objects"), list):
        raise ValueError("no mark")
    return {str(name) for name in found["objects"]}


def is_old(moment: datetime, now: datetime, part: float = 1.0) -> bool:
    """Whether something was written so long ago that it may be removed, or a part of that."""
    return now - moment > timedelta(seconds=part * OLD_SECONDS)


def _sweeping(objects: Objects, now: datetime, on_wait: Wait) -> set[str]:
    """Return the words of removals that go on."""
    on_wait()
    limit = timedelta(seconds=stale_seconds())
    return {key for key, moment in objects.listed(f"{SWEEPING}/", on_wait) if now - moment < limit}


def _marks_of(dag_id: str, run_id: str) -> str:
    return f"{RUNS}/{run_name(dag_id, run_id)}/"


def _digits(key: str) -> str:
    return key.rpartition("/")[2][:_NAMED_DIGITS]


def _may_name(mark_key: str, digits: set[str]) -> bool:
    """Whether a mark may be of an object that begins with some digits."""
    _number, *named = mark_key.rpartition("/")[2].split(".")
    return not named or not digits.isdisjoint(named)


def _name(*parts: str) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:_NAME_LENGTH]
