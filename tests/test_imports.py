"""What Airflow and the command line load must stay light: nothing heavy comes in by accident."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.compiled_run import TOOL
from support.interpreters import Interpreter, interpreter

import cwl_ui_plugin

CWLTOOL = ("cwltool", "schema_salad", "ruamel", "cwl_utils")
SERVER = ("flask_appbuilder", "flask_wtf", "wtforms", "cwl_ui_plugin.views", "cwl_ui_plugin.api")
AIRFLOW = "import airflow.settings; airflow.settings.initialize()"
"""What every process of Airflow does."""
PACKAGE = Path(cwl_ui_plugin.__file__).parent
PRINT = "\nimport sys\nprint(*sys.modules, sep='\\n')"
Loaded = Callable[[str], set[str]]


def loaded_by(code: str) -> set[str]:
    """Return the modules that a fresh interpreter has after running ``code``."""
    result = subprocess.run([sys.executable, "-c", code + PRINT], check=True, capture_output=True, text=True)
    return set(result.stdout.split())


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Interpreter]:
    """What each process of Airflow begins with."""
    with interpreter(AIRFLOW, tmp_path_factory.mktemp("imports")) as started:
        yield started


@pytest.fixture(scope="module")
def in_airflow(begun: Interpreter) -> Loaded:
    """Return the modules that a process has after ``code`` which is in Airflow."""
    return lambda code: set(begun.run(code + PRINT).split())


def among(modules: set[str], unwanted: tuple[str, ...]) -> set[str]:
    return {name for name in modules if name.startswith(tuple(f"{prefix}." for prefix in unwanted)) or name in unwanted}


def test_the_plugin_loads_neither_cwltool_nor_what_only_the_api_server_needs(in_airflow: Loaded) -> None:
    assert among(in_airflow("import cwl_ui_plugin.plugin"), CWLTOOL + SERVER) == set()


def test_the_plugin_loads_no_timetables_before_airflow_asks_for_them(in_airflow: Loaded) -> None:
    modules = in_airflow("import cwl_ui_plugin.plugin; cwl_ui_plugin.plugin.CwlUiPlugin()")
    assert "cwl_ui_plugin.dags.timetables" not in modules


def test_a_dag_file_loads_no_cwltool(in_airflow: Loaded) -> None:
    assert among(in_airflow("from cwl_ui_plugin import CWLDAG; import cwl_ui_plugin.dags.stored"), CWLTOOL) == set()


@pytest.mark.parametrize("module", ["operators", "task_group", "decorators"])
def test_what_dag_files_of_others_import_loads_no_cwltool(in_airflow: Loaded, module: str) -> None:
    assert among(in_airflow(f"import cwl_ui_plugin.{module}"), CWLTOOL + SERVER) == set()


def test_a_dag_file_with_a_group_loads_no_cwltool(
    in_airflow: Loaded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tool.cwl").write_text(TOOL)
    monkeypatch.setenv("AIRFLOW__CWL__WORKFLOWS_FOLDER", str(tmp_path / "store"))
    code = f"""from airflow.sdk import DAG
from cwl_ui_plugin import CWLTaskGroup
from cwl_ui_plugin.operators import CwlToolOperator
with DAG("d", schedule=None) as dag:
    CWLTaskGroup("g", workflow={str(tmp_path / "tool.cwl")!r}, job={{"text": "a"}})
    CwlToolOperator(task_id="t", tool={str(tmp_path / "tool.cwl")!r}, job={{"text": "a"}})
assert len(dag.tasks) == 4"""
    assert among(in_airflow(code), CWLTOOL) == set()


def test_the_bundle_and_the_provider_info_load_no_cwltool(in_airflow: Loaded) -> None:
    modules = in_airflow("import cwl_ui_plugin.dags.bundle, cwl_ui_plugin.provider_info")
    assert among(modules, CWLTOOL + SERVER) == set()


def test_a_site_without_a_bucket_of_workflows_loads_nothing_of_it(in_airflow: Loaded) -> None:
    modules = in_airflow("from cwl_ui_plugin.library.site_store import site_store; site_store().refresh()")
    assert among(modules, ("s3fs", "cwl_ui_plugin.library.shared.store", "cwl_ui_plugin.storing")) == set()


def test_what_every_process_of_airflow_loads_is_light(in_airflow: Loaded) -> None:
    modules = in_airflow("")
    assert "cwl_ui_plugin.dags.cluster_policy" in modules
    assert among(modules, (*CWLTOOL, *SERVER, "celery", "kubernetes")) == set()


def test_a_celery_worker_preloads_before_it_forks(in_airflow: Loaded) -> None:
    """It imports the policy as every process of Airflow does, and tells by its arguments that it is one."""
    modules = in_airflow(
        "import importlib, sys; sys.argv = ['airflow', 'celery', 'worker']\n"
        "importlib.reload(sys.modules['cwl_ui_plugin.dags.cluster_policy'])\n"
        "from celery.signals import worker_init; worker_init.send(None)"
    )
    assert {"cwltool.workflow_job", "airflow.sdk.execution_time.task_runner"} <= modules


@pytest.fixture(scope="module")
def preloaded(in_airflow: Loaded) -> set[str]:
    """The modules of a scheduler that has preloaded. It has found the listeners, too, or this fails."""
    return in_airflow(
        "import sys; sys.argv = ['airflow', 'scheduler']\n"
        "from cwl_ui_plugin.dags.preload import preload_in_component; preload_in_component()\n"
        "from airflow.sdk.listener import get_listener_manager\n"
        "assert get_listener_manager.cache_info().currsize == 1, 'each task would look for all plugins'"
    )


@pytest.mark.parametrize("operators", ["base", "steps", "scattered", "nested", "ends"])
def test_what_a_task_imports_when_it_runs_is_preloaded(preloaded: set[str], operators: str) -> None:
    wanted = imported_in_functions(PACKAGE / "dags" / "operators" / f"{operators}.py")
    assert wanted - {"cwl_ui_plugin.dags.chaining"} <= preloaded  # that is for runs that assets have started


def imported_in_functions(path: Path) -> set[str]:
    """Return the modules of the plugin that functions of a module import when they are called."""
    functions = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)]
    imports = [node for function in functions for node in ast.walk(function) if isinstance(node, ast.ImportFrom)]
    found = set()
    for node in imports:
        if node.module and node.module.startswith("cwl_ui_plugin."):
            folder = PACKAGE.joinpath(*node.module.split(".")[1:])
            inner = {f"{node.module}.{item.name}" for item in node.names if (folder / f"{item.name}.py").exists()}
            found |= inner or {node.module}
    return found


def test_a_dag_processor_imports_what_all_its_dag_files_need(in_airflow: Loaded) -> None:
    modules = in_airflow(
        "import sys; sys.argv = ['airflow', 'dag-processor']\n"
        "from cwl_ui_plugin.dags.component_listener import on_starting; on_starting(None)"
    )
    assert "cwl_ui_plugin.dags.operators" in modules
    assert among(modules, CWLTOOL) == set()


def test_the_api_loads_no_cwltool(in_airflow: Loaded) -> None:
    assert among(in_airflow("import cwl_ui_plugin.api.rest, cwl_ui_plugin.api.experimental"), CWLTOOL) == set()


def test_the_lowest_layers_load_no_airflow() -> None:
    layers = ("cwl.errors", "cwl.plan", "cwl.jobs", "cwl.processes", "signing.tokens")
    imports = "\n".join(f"import cwl_ui_plugin.{layer}" for layer in layers)
    assert among(loaded_by(imports), ("airflow", "flask", "sqlalchemy")) == set()


def test_the_command_line_loads_nothing_heavy() -> None:
    modules = loaded_by("import cwl_ui_plugin.cli.main")
    assert among(modules, ("airflow", "httpx", "cryptography", "flask", "sqlalchemy", *CWLTOOL)) == set()


def test_the_janitor_of_a_worker_does_without_airflow() -> None:
    code = """from cwl_ui_plugin import config; from cwl_ui_plugin.dags.stopping import janitor
config.give({"tmp_folder": "/nowhere", "stop_grace": "1"})
janitor.Janitor(("host",)).has_work(); janitor.end_abandoned()"""
    assert among(loaded_by(code), ("airflow", *CWLTOOL)) == set()


def test_telemetry_that_is_off_is_not_loaded(in_airflow: Loaded) -> None:
    """Neither by a Dag file, nor by a task: what the operators import is all that a task of ours adds to Airflow's."""
    code = "import cwl_ui_plugin.plugin; from cwl_ui_plugin import CWLDAG; import cwl_ui_plugin.dags.operators.steps"
    theirs = [f"airflow.providers.openlineage.{part}" for part in ("plugins", "extractors", "utils")]
    unwanted = ("openlineage", *theirs, "prometheus_client", "cwl_ui_plugin.observing.lineage.events")
    assert among(in_airflow(code), unwanted) == set()


def test_a_task_loads_no_telemetry_but_airflows_own(begun: Interpreter) -> None:
    printed = begun.run(
        "import sys, airflow.sdk.execution_time.task_runner; airflows = set(sys.modules)\n"
        "import cwl_ui_plugin.plugin, cwl_ui_plugin.dags.operators.steps, cwl_ui_plugin.cwl.engine.execution\n"
        "print(*sys.modules.keys() - airflows, sep='\\n')"
    )
    added = set(printed.split())
    assert "cwl_ui_plugin.dags.operators.steps" in added
    assert among(added, ("opentelemetry", "statsd", "openlineage", "prometheus_client")) == set()
