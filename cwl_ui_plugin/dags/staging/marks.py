"""Which objects a run uses, told in the store itself, so that nobody removes them while the run may read them.

::

    <storage>/runs/<run>/<try>      {"dag_id", "run_id", "task", "objects": ["sha256/<aa>/<digest>", ...], "number"}
    <storage>/sweeping/<number>     there while somebody removes objects that no run uses

A task says first which objects it is going to hand on, and looks then whether somebody removes objects; who removes
some says so first, and looks then what runs have said. One of the two sees the other: the task waits, or its objects
stay. That holds in a store whose listings tell of what was written before, as S3's do. In one where they lag behind,
what was written less than ``OLD_SECONDS`` ago, by the clock of the store, is not removed, and a task writes what is
older than half of that anew.
"""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from cwl_ui_plugin.cwl.errors import StepError
from cwl_ui_plugin.dags.staging.objects import Objects, written

RUNS = "runs"
SWEEPING = "sweeping"
OLD_SECONDS = 24 * 3600.0
SWEEP_SECONDS = 30.0
"""How long somebody who has said that objects are being removed may go on with it."""
STALE_SECONDS = 120.0
"""The word of a removal that is older is of somebody who was killed."""
MAX_MARK = 256 * 1024 * 1024
_LOOK_SECONDS = 1.0
_NAME_LENGTH = 32
Wait = Callable[[], None]


def run_name(dag_id: str, run_id: str) -> str:
    """Return what a run is called among the marks; its own names may hold anything."""
    return _name(dag_id, run_id)


def mark(objects: Objects, dag_id: str, run_id: str, task: str, keys: Iterable[str], on_wait: Wait) -> datetime:
    """Say which objects a try of a task is going to hand on, once nobody removes any; return the store's time.

    Raises:
        FetchError: the store can't be reached.
        StepError: somebody does not end removing.

    """
    said = {"dag_id": dag_id, "run_id": run_id, "task": task, "objects": sorted(keys)}
    content = json.dumps({**said, "number": uuid.uuid4().hex})  # else a store keeps what is the same, and its time
    told = objects.put_text(f"{RUNS}/{run_name(dag_id, run_id)}/{_name(task)}", content.encode(), on_wait)
    now = written(told)
    began = time.monotonic()
    while _is_sweeping(objects, now + timedelta(seconds=time.monotonic() - began), on_wait):
        if time.monotonic() - began > STALE_SECONDS + SWEEP_SECONDS:
            raise StepError("Objects are just being removed, and that takes too long.", kind="temporaryFail")
        time.sleep(_LOOK_SECONDS)
    return now


def marked(content: bytes) -> set[str]:
    """Return the objects that a mark names; raise ValueError for what is none: nothing may be removed then."""
    found = json.loads(content)
    if not isinstance(found, dict) or not isinstance(found.get("objects"), list):
        raise ValueError("no mark")
    return {str(name) for name in found["objects"]}


def is_old(moment: datetime, now: datetime, part: float = 1.0) -> bool:
    """Whether something was written so long ago that it may be removed, or a part of that."""
    return now - moment > timedelta(seconds=part * OLD_SECONDS)


def _is_sweeping(objects: Objects, now: datetime, on_wait: Wait) -> bool:
    on_wait()
    limit = timedelta(seconds=STALE_SECONDS)
    return any(now - moment < limit for _key, moment in objects.listed(f"{SWEEPING}/", on_wait))


def _name(*parts: str) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:_NAME_LENGTH]
