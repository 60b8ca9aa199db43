"""What Airflow and the command line load must stay light: nothing heavy comes in by accident."""

from __future__ import annotations

import subprocess
import sys

import pytest

CWLTOOL = ("cwltool", "schema_salad", "ruamel", "cwl_utils")
SERVER = ("flask_appbuilder", "flask_wtf", "wtforms", "cwl_ui_plugin.views", "cwl_ui_plugin.api")


def loaded_by(code: str) -> set[str]:
    """Return the modules that a fresh interpreter has after running ``code``."""
    script = f"{code}\nimport sys\nprint(*sys.modules, sep='\\n')"
    result = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    return set(result.stdout.split())


def among(modules: set[str], unwanted: tuple[str, ...]) -> set[str]:
    return {name for name in modules if name.startswith(tuple(f"{prefix}." for prefix in unwanted)) or name in unwanted}


def test_the_plugin_loads_neither_cwltool_nor_what_only_the_api_server_needs() -> None:
    assert among(loaded_by("import cwl_ui_plugin.plugin"), CWLTOOL + SERVER) == set()


def test_a_dag_file_loads_no_cwltool() -> None:
    assert among(loaded_by("from cwl_ui_plugin import CWLDAG; import cwl_ui_plugin.dags.stored"), CWLTOOL) == set()


def test_the_bundle_and_the_provider_info_load_no_cwltool() -> None:
    modules = loaded_by("import cwl_ui_plugin.dags.bundle, cwl_ui_plugin.provider_info")
    assert among(modules, CWLTOOL + SERVER) == set()


def test_the_api_loads_no_cwltool() -> None:
    assert among(loaded_by("import cwl_ui_plugin.api.rest, cwl_ui_plugin.api.experimental"), CWLTOOL) == set()


@pytest.mark.parametrize("layer", ["cwl.errors", "cwl.plan", "cwl.jobs", "cwl.processes", "signing.tokens"])
def test_the_lowest_layers_load_no_airflow(layer: str) -> None:
    assert among(loaded_by(f"import cwl_ui_plugin.{layer}"), ("airflow", "flask", "sqlalchemy")) == set()


def test_the_command_line_loads_nothing_heavy() -> None:
    modules = loaded_by("import cwl_ui_plugin.cli.main")
    assert among(modules, ("airflow", "httpx", "cryptography", "flask", "sqlalchemy", *CWLTOOL)) == set()
