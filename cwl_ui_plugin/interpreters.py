"""How this Python is started anew for a module of ours.

``python -m`` looks for modules in the working folder first. There the files of a user are, who may have called one of
them ``uuid.py``, or those of somebody who wants another's process to run it.
"""

from __future__ import annotations

import sys

_SAFELY = ["-P", "-m"]
_RUN = "import sys; del sys.path[0]; import runpy; runpy.run_module(sys.argv.pop(1), None, '__main__', True)"
_WITHOUT_FLAG = ["-c", _RUN]
"""The same for Python 3.10, which has no ``-P``."""


def module_command(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module, and finds none in the working folder."""
    return [sys.executable, *(_SAFELY if sys.version_info >= (3, 11) else _WITHOUT_FLAG), module, *arguments]
