"""Conformance tests by cwltest, through a running server; ``make conformance SUITE=...`` runs a whole suite so."""

from __future__ import annotations

from pathlib import Path

import pytest
from conformance import names_to_tests, own_runner, run_suite
from support import pace
from support.airflow_server import Server

pytestmark = pytest.mark.timeout(1800)
SUITE = Path(__file__).resolve().parents[1] / "conformance" / "conformance_tests.yaml"
AT_LEAST = 50
WITH_REQUIREMENTS = "cwl_requirements_addition"
"""Its job brings requirements, which a server refuses by default; ``tests/cwl/engine`` runs it, too."""


@pytest.mark.e2e
def test_every_test_of_the_part_that_is_kept_here_passes(server: Server, tmp_path: Path) -> None:
    names = [name for name in names_to_tests(SUITE) if name != WITH_REQUIREMENTS]
    assert len(names) >= AT_LEAST - 1
    chosen = [*(names[:: pace.SHARE] if pace.is_slow() else names), WITH_REQUIREMENTS]
    results = run_suite(SUITE, own_runner(tmp_path), tmp_path, jobs=2, only=",".join(chosen), server=server)
    assert list(results) == [name for name in names_to_tests(SUITE) if name in chosen]
    log = (tmp_path / "cwl-ui-plugin.log").read_text()
    others = {name: ending for name, ending in results.items() if ending != "passed"}
    assert others == {WITH_REQUIREMENTS: "failed"}, log[-10_000:]
    assert "allow_job_requirements" in log


DOCUMENT = "cwlVersion: v1.2\nclass: CommandLineTool\nbaseCommand: 'true'\ninputs: []\noutputs: []\n"
TESTS = """
- {id: one, doc: "It succeeds, and should.", tool: t.cwl, output: {}, tags: [required]}
- {id: two, doc: "It succeeds, and should not.", tool: t.cwl, should_fail: true, tags: [required]}
- {id: three, doc: "Its outputs are others.", tool: t.cwl, output: {a: 1}, tags: [required]}
"""
UNSUPPORTED = """
- {id: one, doc: "It may be unsupported.", tool: t.cwl, output: {}, tags: [container]}
- {id: two, doc: "It may not.", tool: t.cwl, output: {}, tags: [required]}
- {id: three, doc: "It should fail.", tool: t.cwl, should_fail: true, tags: [required]}
"""


@pytest.mark.parametrize(
    ("tests", "script", "only", "endings"),
    [
        (TESTS, "echo '{}'", None, {"one": "passed", "two": "failed", "three": "failed"}),
        (TESTS, "echo '{}'", "three,two", {"two": "failed", "three": "failed"}),
        (TESTS, "echo '{}'", "one", {"one": "passed"}),
        (TESTS, "echo nothing", None, {"one": "failed", "two": "failed", "three": "failed"}),
        (UNSUPPORTED, "exit 33", None, {"one": "unsupported", "two": "failed", "three": "passed"}),
    ],
)
def test_every_test_has_its_own_ending(
    tmp_path: Path, tests: str, script: str, only: str | None, endings: dict[str, str]
) -> None:
    (tmp_path / "t.cwl").write_text(DOCUMENT)
    (tmp_path / "tests.yaml").write_text(tests)
    runner = tmp_path / "runner"
    runner.write_text(f"#!/bin/sh\n{script}\n")
    runner.chmod(0o755)
    assert run_suite(tmp_path / "tests.yaml", runner, tmp_path, jobs=2, only=only) == endings
