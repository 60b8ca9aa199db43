"""Requests to a store at which something happens: the process that sends them is killed, or hears nothing."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterable
from typing import Any

from support.buckets import Mood


def silent(over: threading.Event) -> Mood:
    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes] | None:
        over.wait(60)
        start_response("503 Slow Down", [("Content-Length", "0")])
        return []

    return answer


def killing(at: int, child: list[int], seen: list[str]) -> Mood:
    """Kill a process at its n-th request: before the server does what it asks for."""

    def answer(environ: dict[str, Any], _start_response: Callable[..., Any]) -> Iterable[bytes] | None:
        seen.append(f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}")
        if len(seen) == at:
            os.kill(child[0], signal.SIGKILL)
        return None

    return answer


def forget_stores() -> None:
    """Do without what this process has of stores from the one that it was forked from; a task's has none."""
    from airflow.sdk.io import store
    from s3fs import S3FileSystem

    from cwl_ui_plugin.fetching import quick_answers

    store._STORE_CACHE.clear()
    quick_answers._kept.clear()
    quick_answers._slots.clear()
    S3FileSystem.clear_instance_cache()


def in_child(do: Callable[[], object], child: list[int]) -> int:
    """Do something in another process; return how it ended."""
    ready, told = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            os.read(ready, 1)
            forget_stores()
            do()
        except BaseException:
            os._exit(1)
        os._exit(0)
    child[:] = [pid]
    os.write(told, b"x")
    status = os.waitpid(pid, 0)[1]
    os.close(ready)
    os.close(told)
    return os.waitstatus_to_exitcode(status)
