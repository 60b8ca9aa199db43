"""The second distribution: with its wheel Dag files of the predecessors load, and say what to write instead."""

from __future__ import annotations

import base64
import configparser
import gzip
import json
import os
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from setuptools import find_packages
from support.compiled_run import TOOL

pytestmark = pytest.mark.packaging
ROOT = Path(__file__).resolve().parents[2]
LEGACY = ROOT / "legacy"
PARSER = """
import os
from datetime import timedelta
from cwl_airflow_parser import CWLDAG, CWLJobDispatcher, CWLJobGatherer

def cwl_workflow(workflow_file):
    dag = CWLDAG(default_args={
        'owner': 'airflow',
        'email': ['my@email.com'],
        'email_on_failure': False,
        'email_on_retry': False,
        'retries': 20,
        'retry_exponential_backoff': True,
        'retry_delay': timedelta(minutes=30),
        'max_retry_delay': timedelta(minutes=60 * 4),
        'tmp_folder': '/tmp'
    }, cwl_workflow=workflow_file)
    dag.create()
    dag.add(CWLJobDispatcher(dag=dag), to='top')
    dag.add(CWLJobGatherer(dag=dag), to='bottom')
    return dag

dag = cwl_workflow(os.path.join(os.path.dirname(__file__), "say.it.cwl"))
"""
FIRST_CWL_AIRFLOW = """
from cwl_airflow import CWLDAG, CWLJobDispatcher, CWLJobGatherer
dag = CWLDAG(cwl_workflow="say.it.cwl", dag_id="first", schedule_interval=None, default_args={'tmp_folder':'/tmp'})
dag.create()
dag.add(CWLJobDispatcher(dag=dag), to='top')
dag.add(CWLJobGatherer(dag=dag), to='bottom')
"""
IN_DEFAULT_ARGS = """
from cwl_airflow_parser import CWLDAG
dag = CWLDAG(default_args={"cwl_workflow": "say.it.cwl", "retries": 3})
"""
CWL_AIRFLOW = """
from cwl_airflow.extensions.cwldag import CWLDAG
args = {"cwl": {"debug": True, "parallel": True}, "params": {"job_file": "a"}}
dag = CWLDAG(workflow="say.it.cwl", dag_id="later", doc_md="Say it", default_args=args)
"""
SHOW = """
import json, runpy, sys, warnings
import cwl_ui_plugin.dags.dag  # Airflow sets up what becomes of warnings when it is imported
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    dag = runpy.run_path(sys.argv[1])["dag"]
told = [str(one.message) for one in caught if "cwl_ui_plugin" in str(one.message)]
where = [one.filename for one in caught if "cwl_ui_plugin" in str(one.message)]
upstream = {task.task_id: sorted(task.upstream_task_ids) for task in dag.tasks}
print(json.dumps({"dag_id": dag.dag_id, "tasks": upstream, "file": dag.fileloc, "told": told, "where": where,
    "retries": dag.tasks[0].retries,
    "heavy": [name for name in ("cwltool", "flask", "fastapi") if name in sys.modules]}))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the content of the wheel."""
    folder = tmp_path_factory.mktemp("legacy")
    source = folder / "source"
    listed = ["git", "ls-files", "-co", "--exclude-standard"]
    for name in subprocess.run(listed, cwd=LEGACY, check=True, capture_output=True, text=True).stdout.splitlines():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((LEGACY / name).read_bytes())
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", str(folder), str(source)], check=True, capture_output=True)
    [wheel] = folder.glob("cwl_ui_plugin_legacy-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


@pytest.fixture
def run(installed: Path, tmp_path: Path) -> Callable[..., Any]:
    """Run Python with the wheel: ``run(code, argument)``."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("AIRFLOW")}
    environment |= {"PYTHONPATH": str(installed), "AIRFLOW_HOME": str(tmp_path / "airflow")}

    def go(code: str, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", code, *words]
        return subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)

    return go


@pytest.fixture
def shown(run: Callable[..., Any], tmp_path: Path) -> Callable[[str], dict[str, Any]]:
    """Load a Dag file; return what became of it."""
    (tmp_path / "say.it.cwl").write_text(TOOL)

    def load(text: str) -> dict[str, Any]:
        file = tmp_path / "dag_file.py"
        file.write_text(text)
        result = run(SHOW, str(file))
        assert result.returncode == 0, result.stderr[-3000:]
        return dict(json.loads(result.stdout.splitlines()[-1]))

    return load


def test_every_package_is_declared_and_the_versions_are_the_same() -> None:
    config = configparser.ConfigParser()
    config.read(LEGACY / "setup.cfg")
    assert set(config["options"]["packages"].split()) == set(find_packages(str(LEGACY)))
    versions = {
        (ROOT / path).read_text().partition('__version__ = "')[2]
        for path in ("cwl_ui_plugin/version.py", "legacy/cwl_ui_plugin_legacy/version.py")
    }
    assert len(versions) == 1
    assert (LEGACY / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


@pytest.mark.parametrize(
    ("text", "dag_id"),
    [(PARSER, "say_dot_it"), (IN_DEFAULT_ARGS, "say_dot_it"), (FIRST_CWL_AIRFLOW, "first"), (CWL_AIRFLOW, "later")],
)
def test_a_dag_file_of_each_generation_loads(
    shown: Callable[[str], dict[str, Any]], text: str, dag_id: str, tmp_path: Path
) -> None:
    dag = shown(text)
    assert dag["dag_id"] == dag_id
    [step] = set(dag["tasks"]) - {"CWLJobDispatcher", "CWLJobGatherer"}
    assert dag["tasks"][step] == ["CWLJobDispatcher"]
    assert dag["heavy"] == []
    assert dag["file"] == str(tmp_path / "dag_file.py")
    [told] = dag["told"]
    assert "from cwl_ui_plugin import CWLDAG" in told
    assert f"dag_id={dag_id!r}" in told
    assert dag["where"] == [str(tmp_path / "dag_file.py")]
    if text is PARSER:
        assert dag["retries"] == 20
        assert "default_args['tmp_folder']" in told
    if text is CWL_AIRFLOW:
        assert "default_args['cwl']" in told


@pytest.mark.parametrize("compress", [gzip.compress, zlib.compress])
def test_a_compressed_workflow_loads(
    shown: Callable[[str], dict[str, Any]], compress: Callable[[bytes], bytes]
) -> None:
    packed = base64.b64encode(compress(TOOL.encode())).decode()
    code = f'from cwl_airflow.extensions.cwldag import CWLDAG\ndag = CWLDAG(workflow="{packed}", dag_id="packed")\n'
    dag = shown(code)
    assert len(dag["tasks"]) == 3
    assert packed not in dag["told"][0]


def test_tasks_of_a_dag_files_own_stand_before_and_after(shown: Callable[[str], dict[str, Any]]) -> None:
    more = """
from airflow.providers.standard.operators.empty import EmptyOperator
dag.add(EmptyOperator(task_id="before", dag=dag), to="top")
dag.add(EmptyOperator(task_id="after", dag=dag), to="bottom")
assert dag.dispatcher.task_id == "CWLJobDispatcher"
"""
    tasks = shown(FIRST_CWL_AIRFLOW + more)["tasks"]
    assert tasks["CWLJobDispatcher"] == ["before"]
    assert tasks["after"] == ["CWLJobGatherer"]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("class Mine(CWLJobDispatcher):\n    pass\nMine(dag=None)", "task >> dag.get_task"),
        ("CWLStepOperator(task_id='a')", "CwlToolOperator"),
        ("CWLDAG(dag_id='a')", "needs the path"),
        ("CWLDAG(dag_id='a', workflow='say.it.cwl', gatherer=7)", "can't be a dispatcher"),
        ("CWLDAG(dag_id='a', workflow='H4sIAAAAno')", "can't be read"),
    ],
)
def test_what_can_not_be_taken_over_says_what_to_write(
    run: Callable[..., Any], tmp_path: Path, code: str, words: str
) -> None:
    (tmp_path / "say.it.cwl").write_text(TOOL)
    names = "CWLDAG, CWLJobDispatcher, CWLJobGatherer, CWLStepOperator"
    result = run(f"from cwl_airflow_parser import {names}\n{code}")
    assert result.returncode == 1
    assert words in result.stderr.splitlines()[-1]


def test_modules_that_were_documented_are_there(run: Callable[..., Any]) -> None:
    code = """
import sys
from importlib import import_module
for name in ("cwl_airflow_parser.utils", "cwl_airflow.utils", "cwl_airflow.utilities"):
    backend = import_module(f"{name}.jwt_backend")
    assert callable(backend.init_app) and callable(backend.requires_authentication)
    assert backend.CLIENT_AUTH is backend.client_auth is None
assert "cwl_ui_plugin_legacy.cwldag" not in sys.modules and "cwltool" not in sys.modules
from cwl_airflow.utilities.helpers import get_compressed, get_uncompressed
assert get_uncompressed(get_compressed("a: 1")) == "a: 1"
assert get_uncompressed(get_compressed({"a": 1}), parse_as_yaml=True) == {"a": 1}
from cwl_airflow_parser.cwldag import CWLDAG
from cwl_airflow_parser.operators.cwljobdispatcher import CWLJobDispatcher
from cwl_airflow.extensions.operators.cwlstepoperator import CWLStepOperator
from cwl_airflow_parser.utils.notifier import dag_on_success
from cwl_airflow.utilities.report import dag_on_failure, task_on_retry
from cwl_airflow_parser.cwlutils import post_status_info
"""
    result = run(code)
    assert result.returncode == 0, result.stderr[-2000:]
