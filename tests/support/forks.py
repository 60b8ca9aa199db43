"""Processes that begin with the same imports, as forks of one that has them; they stand in for ``subprocess.Popen``.

Environment, arguments, pipes and session are those that are asked for, but ``/proc`` shows the first one's command and
environment: what is about these needs a real process.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import IO

_SERVE = """
import json, os, socket, sys, traceback

{begin}


def be(code, arguments, environment, is_session, stdin, stdout):
    if is_session:
        os.setsid()
    os.dup2(stdin, 0)
    os.dup2(stdout, 1)
    os.closerange(3, 100)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv[:] = ["-c", *arguments]
    exec(code, {{"__name__": "__main__"}})


def watch(request, pipes, status):
    child = os.fork()
    if child:
        os.write(status, b"%d\\n" % child)
        for pipe in pipes:
            os.close(pipe)
        os.write(status, b"%d\\n" % os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        os._exit(0)
    ending = 1
    try:
        be(*request, *pipes)
        ending = 0
    except SystemExit as end:
        ending = int(end.code or 0)
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(ending)


server = socket.socket(fileno=os.dup(0))
while True:
    text, fds, _flags, _address = socket.recv_fds(server, 1 << 20, 3)
    if not text:
        break
    if not os.fork():
        server.close()
        watch(json.loads(text), fds[:2], fds[2])
    for fd in fds:
        os.close(fd)
try:
    while os.waitpid(-1, os.WNOHANG)[0]:  # those that have watched; what they have used counts as used here
        pass
except ChildProcessError:
    pass
"""


class Fork:
    """What is needed of ``subprocess.Popen``, with pipes of text."""

    def __init__(self, stdin: int, stdout: int, status: int) -> None:
        self.stdin: IO[str] = os.fdopen(stdin, "w")
        self.stdout: IO[str] = os.fdopen(stdout)
        self._status = os.fdopen(status)
        self.pid = int(self._status.readline())
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return how it ended, if it has."""
        return self._ended(0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended; return how."""
        ended = self._ended(timeout)
        assert ended is not None, f"{self.pid} goes on"
        return ended

    def _ended(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self._status], [], [], timeout)[0]:
            self.returncode = int(self._status.readline())
        return self.returncode

    def kill(self) -> None:
        """End it, unless it has ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def close(self) -> None:
        """End it, and close its pipes."""
        self.kill()
        self.wait()
        for pipe in (self.stdin, self.stdout, self._status):
            with suppress(OSError):
                pipe.close()


class Forks:
    """A process that forks."""

    def __init__(self, server: socket.socket) -> None:
        self._server = server

    def start(self, code: str, arguments: Sequence[str], *, start_new_session: bool = False) -> Fork:
        """Run a program with the environment that this process has now."""
        (their_in, mine_in), (mine_out, their_out), (status, told) = os.pipe(), os.pipe(), os.pipe()
        request = json.dumps([code, list(arguments), dict(os.environ), start_new_session])
        try:
            socket.send_fds(self._server, [request.encode()], [their_in, their_out, told])
        finally:
            for pipe in (their_in, their_out, told):
                os.close(pipe)
        return Fork(mine_in, mine_out, status)


@contextmanager
def forks(begin: str) -> Iterator[Forks]:
    """Start a process that has run ``begin``; what it has forked is ended by whoever has asked for it."""
    mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with mine, theirs, subprocess.Popen([sys.executable, "-c", _SERVE.format(begin=begin)], stdin=theirs):
        theirs.close()
        yield Forks(mine)
        mine.close()
