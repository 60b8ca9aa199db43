"""Addresses are written down once."""

from __future__ import annotations

import re
from pathlib import Path

from cwl_ui_plugin import addresses

ROOT = Path(__file__).resolve().parents[1]
SPELLED = re.compile(r"""["'}]/(?:(?:pluginsv2|cwl|api/experimental)(?:[/?{"']|$)|dags/\{)""")


def test_no_address_is_spelled_again() -> None:
    sources = [
        *(ROOT / "cwl_ui_plugin").rglob("*.py"),
        *(ROOT / "templates").rglob("*.html"),
        *(ROOT / "static").glob("*.js"),
    ]
    found = {
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in sources
        for line in path.read_text().splitlines()
        if SPELLED.search(line)
    }
    assert {line for line in found if not line.startswith("cwl_ui_plugin/addresses.py:")} == set()


def test_names_of_users_stay_one_part_of_a_path() -> None:
    assert addresses.run("a/b", "c?d#e") == "/cwl/api/v1/workflows/a%2Fb/runs/c%3Fd%23e"
    assert addresses.outputs_zip("a", "b", "c/d") == "/cwl/api/v1/workflows/a/runs/b/zip?path=c%2Fd"
    assert addresses.output_file("a", "b", "c d/e") == "/cwl/api/v1/workflows/a/runs/b/files/c%20d/e"
    assert addresses.airflow_task("a", "b", "c", 3) == "/dags/a/runs/b/tasks/c/mapped/3"
    assert addresses.airflow_task("a", "b", "c") == "/dags/a/runs/b/tasks/c"
    assert addresses.log("a", "b", "c", -1, 2, "stderr") == "/cwl/api/v1/workflows/a/runs/b/logs/c/-1/2/stderr"


def test_what_is_below_a_prefix_is_told_by_whole_names() -> None:
    assert addresses.is_below("/cwl", "/cwl")
    assert addresses.is_below("/cwl/x", "/other", "/cwl")
    assert not addresses.is_below("/cwlx", "/cwl")
