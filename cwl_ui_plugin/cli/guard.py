"""A process that outlives a standalone server by a moment: it ends what the server leaves when it is killed.

The server holds the other end of this process's standard input; that it closes is how its death is noticed, however it
came about.
"""

from __future__ import annotations

import signal
import sys

from cwl_ui_plugin.cwl import processes

STOP_SECONDS = 15


def main(mark: str) -> None:
    """Wait until the server is gone, then end all processes with its mark."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.buffer.read()
    processes.end(mark, STOP_SECONDS, processes.SERVER_VARIABLE)


if __name__ == "__main__":
    main(sys.argv[1])
