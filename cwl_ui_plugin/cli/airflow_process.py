"""``python -m cwl_ui_plugin.cli.airflow_process WORD ...``: ``airflow WORD ...``, which collects garbage more seldom.

Airflow makes some 800,000 objects before it serves or schedules anything, none of which is garbage. Python looks
through them again and again meanwhile: 28 % of the CPU time of a start of the API server, 20 % of that of a command.
"""

from __future__ import annotations

import gc
import sys

THRESHOLD = 50_000
"""So many new objects are waited for; 10 MB more memory than with Python's own 700 or 2,000."""


def main() -> None:
    """Do what ``airflow`` does with the arguments of this process."""
    gc.set_threshold(THRESHOLD, *gc.get_threshold()[1:])
    from airflow.__main__ import main as airflow

    sys.argv[0] = "airflow"
    airflow()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
