"""Fresh interpreters that need not import Airflow each: forks of one that has imported what many begin with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_ANSWER = """
import json, os, sys, traceback

{begin}


def run(code, environment, printed):
    os.environ.clear()
    os.environ.update(environment)
    out = os.open(printed, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(out, 1)
    os.dup2(out, 2)
    try:
        exec(code, {{"__name__": "__main__"}})
        status = 0
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


for line in sys.stdin:
    child = os.fork()
    if not child:
        run(*json.loads(line))
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Interpreter:
    """An interpreter that runs each code in a fork of itself."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self._process, self._printed = process, folder / "printed.txt"

    def run(self, code: str) -> str:
        """Run a program with the environment that this process has now; return what it printed.

        Raises:
            RuntimeError: it failed; with what it said.

        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([code, dict(os.environ), str(self._printed)]) + "\n")
        self._process.stdin.flush()
        status = self._process.stdout.readline().strip()
        printed = self._printed.read_text() if self._printed.exists() else ""
        if status != "0":
            raise RuntimeError(f"ended with {status or 'the interpreter'}: {printed}")
        return printed


@contextmanager
def interpreter(begin: str, folder: Path) -> Iterator[Interpreter]:
    """Start an interpreter that has run ``begin``; ``folder`` is for what its forks print."""
    with subprocess.Popen(
        [sys.executable, "-c", _ANSWER.format(begin=begin)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Interpreter(process, folder)
        process.stdin.close()  # type: ignore[union-attr]
