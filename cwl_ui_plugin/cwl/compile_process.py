"""Compiling in a process of its own: cwltool takes 2 s to import and 20 s on large documents, and keeps what it read.

The parent imports none of it. The child writes one JSON line per event on its standard output:
``{"progress": text}``, then ``{"done": true}`` or ``{"error": kind, "message": text, "problems": [...]}``.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any, TypedDict

from cwl_ui_plugin.cwl.errors import (
    ChoiceError,
    CompileInterrupted,
    CompileTimeout,
    CwlError,
    DocumentError,
    Problem,
    UnsupportedError,
)
from cwl_ui_plugin.cwl.plan import Plan, read_plan
from cwl_ui_plugin.interpreters import module_command

MEMORY_BYTES = 4 * 1024**3
_ERRORS: dict[str, type[DocumentError]] = {"document": DocumentError, "unsupported": UnsupportedError}
_LAST_OUTPUT = 2000
MAX_REASON = 300
"""Characters of another library's error in a message."""
_BACKGROUND_NICENESS = 10


class _Request(TypedDict):
    """What the child is to do; its only argument."""

    source: str
    main: str
    out: str
    fetch_hosts: str
    allow_drafts: bool
    niceness: int


class _Event(TypedDict, total=False):
    """What the child says: ``progress``, or as the last, ``done`` or ``error``."""

    progress: str
    done: bool
    error: str
    message: str
    problems: list[dict[str, Any]]
    choices: list[str]


def compile_in_process(
    source: Path,
    main: str,
    out: Path,
    *,
    fetch_hosts: str = "",
    allow_drafts: bool = False,
    timeout: float,
    progress: Callable[[str], None] = lambda _message: None,
    is_background: bool = False,
) -> Plan:
    """Do what :func:`compiling.compile_document` does, in a child process that may take ``timeout`` seconds.

    ``fetch_hosts`` are those that documents may be fetched from. ``is_background`` lets everything else on the
    machine go first.

    Raises:
        DocumentError: and its children, as the child raised them; CompileTimeout when the time is over.

    """
    request: _Request = {
        "source": str(source),
        "main": main,
        "out": str(out),
        "fetch_hosts": fetch_hosts,
        "allow_drafts": allow_drafts,
        "niceness": _BACKGROUND_NICENESS if is_background else 0,
    }
    result, complaints = _run(request, timeout, progress)
    if result.get("done"):
        return read_plan(out)
    raise _error_of(result, complaints, main)


def _start(request: _Request) -> subprocess.Popen[str]:
    return subprocess.Popen(
        module_command("cwl_ui_plugin.cwl.compile_process", json.dumps(request)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def _run(request: _Request, timeout: float, progress: Callable[[str], None]) -> tuple[_Event, str]:
    """Run the child until nothing of it is left; return its last event and what it wrote to its standard error."""
    child = _start(request)
    expired = threading.Event()

    def expire() -> None:
        expired.set()
        _kill(child)

    timer = threading.Timer(timeout, expire)
    timer.daemon = True
    timer.start()
    try:
        answer = _follow(child, progress)
    finally:
        timer.cancel()
        _kill(child)
        child.wait()
    if expired.is_set():
        main = request["main"]
        raise CompileTimeout(f"Validating {main} took longer than {timeout:.0f} seconds ([cwl] compile_timeout).")
    return answer


def _error_of(result: _Event, complaints: str, main: str) -> DocumentError:
    """Return the error that the child has told, or that it was killed."""
    if "error" not in result:
        reason = (complaints.strip().splitlines() or ["it was killed"])[-1]
        return CompileInterrupted(f"The validation of {main} broke off: {reason[:MAX_REASON]}")
    if "choices" in result:
        return ChoiceError(result["message"], choices=tuple(result["choices"]))
    problems = tuple(Problem(**problem) for problem in result["problems"])
    return _ERRORS[result["error"]](result["message"], problems)


def _follow(child: subprocess.Popen[str], progress: Callable[[str], None]) -> tuple[_Event, str]:
    """Pass progress on; return the last event and what the child wrote to its standard error."""
    complaints: list[str] = []
    reader = threading.Thread(target=lambda: complaints.append(_end_of(child.stderr)), daemon=True)
    reader.start()
    result: _Event = {}
    for line in child.stdout or ():
        event: _Event = json.loads(line)
        if "progress" in event:
            progress(event["progress"])
        else:
            result = event
    child.wait()
    reader.join(timeout=5)
    return result, "".join(complaints)


def _end_of(stream: IO[str] | None) -> str:
    end = ""
    while stream and (text := stream.read(65536)):
        end = (end + text)[-_LAST_OUTPUT:]
    return end


def _kill(child: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)


def _main(request: _Request) -> None:
    """Compile, and say how it went; cwltool's own prints must not get between the events."""
    events = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    os.nice(request["niceness"])
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))

    def tell(event: _Event) -> None:
        events.write(json.dumps(event) + "\n")

    tell({"progress": "Loading cwltool"})
    os.chdir(request["source"])
    tell(_compile(request, lambda message: tell({"progress": message})))


def _compile(request: _Request, progress: Callable[[str], None]) -> _Event:
    """Compile; return the last event."""
    from cwl_ui_plugin.cwl.compiler import compiling

    compiling.quiet()
    main = request["main"]
    try:
        compiling.compile_document(
            Path(request["source"]),
            main,
            Path(request["out"]),
            fetch_hosts=request["fetch_hosts"],
            allow_drafts=request["allow_drafts"],
            progress=progress,
        )
    except ChoiceError as error:
        return {"error": "document", "message": error.message, "choices": list(error.choices)}
    except CwlError as error:
        kind = "unsupported" if isinstance(error, UnsupportedError) else "document"
        return _failed(error.message, kind, [problem.as_json() for problem in error.problems])
    except MemoryError:
        return _failed("The document needs more memory than validation may take.")
    except UnicodeError:
        return _failed(f"{main} has a text with half of a surrogate pair in it, which is no character.")
    except Exception as error:  # whatever a hostile document makes a library raise: users get words, not a traceback
        reason = f"{type(error).__name__}: {error}"[:MAX_REASON].rstrip(": ")
        return _failed(f"{main} can't be compiled, since cwltool meets an error of its own: {reason}")
    return {"done": True}


def _failed(message: str, kind: str = "document", problems: Sequence[dict[str, object]] = ()) -> _Event:
    return {"error": kind, "message": message, "problems": list(problems)}


if __name__ == "__main__":
    _main(json.loads(sys.argv[1]))
