"""Processes that compile, as forks of one that has loaded cwltool and its schemas: a fresh one takes a second for that.

All else of such a process is as it is: its session, its pipes, its working directory, its limits, how it ends.
Those that ask for ``fresh_compiler`` are the real ones, and so are all that other processes start.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cwl_ui_plugin.cwl import compile_process
from cwl_ui_plugin.cwl.processes import task_processes

_start_afresh = compile_process._start
_FORKS = """
import json, os, signal, socket, sys

if os.fork():
    os._exit(0)  # no child of a test's process any more: what runs as a task there ends all children of its own

from cwltool.process import get_schema

from cwl_ui_plugin.cwl import compile_process
from cwl_ui_plugin.cwl.compiler import compiling

del sys.path[0]  # it is wherever the process is
compiling._know_extensions()
for version in ("v1.0", "v1.1", "v1.2", "v1.3.0-dev1"):
    get_schema(version)


def compile_it(request, environment, folder, out, err):
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    os.dup2(out, 1)
    os.dup2(err, 2)
    os.closerange(3, 100)
    compile_process._main(request)


signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody has to wait for them
with socket.socket(fileno=0) as server:
    while True:
        text, pipes, _flags, _address = socket.recv_fds(server, 1 << 20, 2)
        if not text:
            break
        if not os.fork():
            status = 1
            try:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                os.setsid()
                server.send(str(os.getpid()).encode())
                compile_it(*json.loads(text), *pipes)
                status = 0
            except BaseException:
                sys.excepthook(*sys.exc_info())
            sys.stderr.flush()
            os._exit(status)
        for pipe in pipes:
            os.close(pipe)
"""


class _Child:
    """What is needed of ``subprocess.Popen``."""

    def __init__(self, pid: int, out: int, err: int) -> None:
        self.pid = pid
        self.stdout, self.stderr = os.fdopen(out), os.fdopen(err)

    def wait(self) -> None:
        """Wait until it is no more; it is no child of this process."""
        with contextlib.suppress(ProcessLookupError):
            process = os.pidfd_open(self.pid)
            try:
                select.select([process], [], [])
            finally:
                os.close(process)


class _WarmCompiler:
    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # Who asks first may be a task: what has its mark is ended with it.
        environment = {name: value for name, value in os.environ.items() if name != task_processes.TAG_VARIABLE}
        subprocess.run(
            [sys.executable, "-c", _FORKS], stdin=theirs, env=environment, start_new_session=True, check=True
        )
        theirs.close()

    def start(self, request: Any) -> Any:
        """Start a child, as :func:`compile_process._start` does."""
        (out, their_out), (err, their_err) = os.pipe(), os.pipe()
        try:
            text = json.dumps([request, dict(os.environ), str(Path.cwd())])
            socket.send_fds(self._socket, [text.encode()], [their_out, their_err])
            answer = self._socket.recv(100)
            if not answer:
                raise ConnectionError("The process that forks has ended.")
            return _Child(int(answer), out, err)
        except OSError:
            os.close(out)
            os.close(err)
            raise
        finally:
            os.close(their_out)
            os.close(their_err)

    def stop(self) -> None:
        """Have the process that forks end."""
        self._socket.close()


@pytest.fixture(scope="session", autouse=True)
def _warm_compiler() -> Iterator[None]:
    """Start it when the first document is compiled."""
    warm: list[_WarmCompiler] = []
    lock = threading.Lock()

    def start(request: Any) -> Any:
        with lock:  # an answer is the pid of the last request
            if warm:
                with contextlib.suppress(ConnectionError):  # a test has ended it with what it had to end
                    return warm[-1].start(request)
            warm.append(_WarmCompiler())
            return warm[-1].start(request)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(compile_process, "_start", start)
        yield
    for compiler in warm:
        compiler.stop()


@pytest.fixture
def fresh_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start processes that compile as the product does."""
    monkeypatch.setattr(compile_process, "_start", _start_afresh)
