"""Commands of others that import much before they do anything, called in forks of one process that has imported it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest.mock import patch

from support.forks import forks

Call = Callable[..., subprocess.CompletedProcess[str]]
_BE = """
import os, sys

errors, name, *words = sys.argv[1:]
os.dup2(os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), 2)
sys.argv[:] = [name, *words]
try:
    status = main()
except SystemExit as end:
    status = end.code
if isinstance(status, str):
    print(status, file=sys.stderr)
sys.exit(1 if isinstance(status, str) else status or 0)
"""


@contextmanager
def commands(name: str, begin: str, environment: Mapping[str, str], folder: Path) -> Iterator[Call]:
    """Give ``call(*words)``, which does what the command ``name`` does; ``begin`` imports its ``main`` and more."""
    errors = folder / f"{name}.errors.txt"
    with ExitStack() as stack:
        with patch.dict(os.environ, environment):
            started = stack.enter_context(forks(begin))

        def call(*words: str) -> subprocess.CompletedProcess[str]:
            with patch.dict(os.environ, environment):
                process = started.start(f"from __main__ import main\n{_BE}", [str(errors), name, *words])
            try:
                printed = process.stdout.read()
                return subprocess.CompletedProcess([name, *words], process.wait(), printed, errors.read_text())
            finally:
                process.close()

        yield call
