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
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from cwl_ui_plugin.cwl.errors import ChoiceError, CompileTimeout, CwlError, DocumentError, Problem, UnsupportedError
from cwl_ui_plugin.cwl.plan import Plan, read_plan

MEMORY_BYTES = 4 * 1024**3
_ERRORS = {"document": DocumentError, "unsupported": UnsupportedError}
_LAST_OUTPUT = 2000
MAX_REASON = 300
"""Characters of another library's error in a message."""


def compile_in_process(
    source: Path,
    main: str,
    out: Path,
    *,
    allow_network: bool = False,
    timeout: float,
    progress: Callable[[str], None] = lambda _message: None,
) -> Plan:
    """Do what :func:`compiling.compile_document` does, in a child process that may take ``timeout`` seconds.

    Raises:
        DocumentError: and its children, as the child raised them; CompileTimeout when the time is over.

    """
    request = {"source": str(source), "main": main, "out": str(out), "allow_network": allow_network}
    child = subprocess.Popen(
        [sys.executable, "-m", "cwl_ui_plugin.cwl.compile_process", json.dumps(request)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    expired = threading.Event()

    def expire() -> None:
        expired.set()
        _kill(child)

    timer = threading.Timer(timeout, expire)
    timer.daemon = True
    timer.start()
    try:
        result, complaints = _follow(child, progress)
    finally:
        timer.cancel()
        _kill(child)
        child.wait()
    if expired.is_set():
        raise CompileTimeout(f"Validating {main} took longer than {timeout:.0f} seconds ([cwl] compile_timeout).")
    if result.get("done"):
        return read_plan(out)
    if "error" not in result:
        reason = (complaints.strip().splitlines() or ["it was killed"])[-1]
        raise DocumentError(f"The validation of {main} broke off: {reason[:MAX_REASON]}")
    if "choices" in result:
        raise ChoiceError(result["message"], choices=tuple(result["choices"]))
    problems = tuple(Problem(**problem) for problem in result["problems"])
    raise _ERRORS[result["error"]](result["message"], problems)


def _follow(child: subprocess.Popen[str], progress: Callable[[str], None]) -> tuple[dict[str, Any], str]:
    """Pass progress on; return the last event and what the child wrote to its standard error."""
    complaints: list[str] = []
    reader = threading.Thread(target=lambda: complaints.append(_end_of(child.stderr)), daemon=True)
    reader.start()
    result: dict[str, Any] = {}
    for line in child.stdout or ():
        event = json.loads(line)
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


def _main(request: dict[str, Any]) -> None:
    """Compile, and say how it went; cwltool's own prints must not get between the events."""
    events = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))

    def tell(**event: Any) -> None:
        events.write(json.dumps(event) + "\n")

    tell(progress="Loading cwltool")
    os.chdir(request["source"])
    from cwl_ui_plugin.cwl import compiling

    compiling.quiet()
    try:
        compiling.compile_document(
            Path(request["source"]),
            request["main"],
            Path(request["out"]),
            allow_network=request["allow_network"],
            progress=lambda message: tell(progress=message),
        )
    except ChoiceError as error:
        tell(error="document", message=error.message, choices=error.choices)
    except CwlError as error:
        kind = "unsupported" if isinstance(error, UnsupportedError) else "document"
        tell(error=kind, message=error.message, problems=[problem.as_json() for problem in error.problems])
    except MemoryError:
        tell(error="document", message="The document needs more memory than validation may take.", problems=[])
    except UnicodeError:
        message = f"{request['main']} has a text with half of a surrogate pair in it, which is no character."
        tell(error="document", message=message, problems=[])
    except Exception as error:  # whatever a hostile document makes a library raise: users get words, not a traceback
        reason = f"{type(error).__name__}: {error}"[:MAX_REASON].rstrip(": ")
        message = f"{request['main']} can't be compiled, since cwltool meets an error of its own: {reason}"
        tell(error="document", message=message, problems=[])
    else:
        tell(done=True)


if __name__ == "__main__":
    _main(json.loads(sys.argv[1]))
