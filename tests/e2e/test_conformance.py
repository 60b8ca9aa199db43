"""Conformance tests by cwltest, through a running server; ``make conformance SUITE=...`` runs a whole suite so."""

from __future__ import annotations

from pathlib import Path

import pytest
from airflow_server import Server
from conformance import own_runner, run_suite

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]
SUITE = Path(__file__).resolve().parents[1] / "conformance" / "conformance_tests.yaml"
AT_LEAST = 50
WITH_REQUIREMENTS = "cwl_requirements_addition"
"""Its job brings requirements, which a server refuses by default; ``tests/cwl/test_conformance.py`` runs it, too."""


def test_every_test_of_the_part_that_is_kept_here_passes(server: Server, tmp_path: Path) -> None:
    results = run_suite(SUITE, own_runner(tmp_path), tmp_path, jobs=2, server=server)
    assert len(results) >= AT_LEAST
    log = (tmp_path / "cwl-ui-plugin.log").read_text()
    others = {name: ending for name, ending in results.items() if ending != "passed"}
    assert others == {WITH_REQUIREMENTS: "failed"}, log[-10_000:]
    assert "allow_job_requirements" in log
