"""A representative part of the CWL conformance suite, by cwltest, through a running server.

``make conformance SUITE=...`` runs a whole suite the same way.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from airflow_server import Server

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

TESTS = (
    "cl_basic_generation",
    "cl_optional_bindings_provided",
    "stdinout_redirect",
    "expression_outputEval",
    "wf_wc_parseInt",
    "wf_wc_expressiontool",
    "wf_wc_scatter_multiple_merge",
    "wf_scatter_two_nested_crossproduct",
    "wf_scatter_emptylist",
    "nested_workflow",
    "step_input_default_value",
    "initial_workdir_trailingnl",
    "inline_expressions",
    "format_checking_subclass",
    "format_checking_equivalentclass",
    "output_secondaryfile_optional",
    "valuefrom_wf_step",
    "record_output_binding",
    "directory_input_param_ref",
    "exprtool_file_literal",
    "wf_compound_doc",
    "shelldir_quoted",
    "success_codes",
    "packed_import_schema",
    "any_without_defaults_unspecified_fails",
    "mixed_version_v11_wf",
    "legal_symlink",
    "timelimit_basic",
    "listing_loadListing_deep",
    "cwl_requirements_addition",
)


def test_the_selection_passes(server: Server, conformance: Path, tmp_path: Path) -> None:
    runner = tmp_path / "cwl-ui-plugin-run"
    runner.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m cwl_ui_plugin.cli.main run "$@"\n')
    runner.chmod(0o755)
    command = [Path(sys.executable).with_name("cwltest"), "--test", conformance / "conformance_tests.yaml"]
    command += ["--tool", runner, "-s", ",".join(TESTS), "-j", "2", "--timeout", "180"]
    result = subprocess.run(
        command,
        env={**os.environ, "CWL_UI_URL": server.url, "CWL_UI_TOKEN": server.token()},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    output = result.stdout + result.stderr
    assert result.returncode == 0, output[-10_000:]
    assert f"Test [{len(TESTS)}/{len(TESTS)}]" in output or "All tests passed" in output, output[-2000:]
