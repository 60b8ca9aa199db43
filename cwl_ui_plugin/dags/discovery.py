"""Which files of a Dag folder Airflow parses: those that its own heuristic takes, and those that name ``CWLDAG``.

Airflow skips a file without the word "airflow" in it; ``from cwl_ui_plugin import CWLDAG`` has none. This function is
for ``[core] might_contain_dag_callable``.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

from airflow.utils.file import might_contain_dag_via_default_heuristic

MARKER = b"CWLDAG"


def might_contain_dag(file_path: str, zip_file: zipfile.ZipFile | None = None) -> bool:
    """Whether a file, or a member of an archive, may define a Dag."""
    if might_contain_dag_via_default_heuristic(file_path, zip_file):
        return True
    return MARKER in (zip_file.read(file_path) if zip_file else Path(file_path).read_bytes())
