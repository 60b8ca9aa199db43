"""``migrate-dags``: Dag files as users of the predecessors have them are read, never run, and rewritten."""

from __future__ import annotations

import ast
import base64
import gzip
from pathlib import Path
from types import SimpleNamespace

import pytest

from cwl_ui_plugin.cli import main, migrate_dags

PARSER = """#!/usr/bin/env python3
import os
from cwl_airflow_parser import CWLDAG, CWLJobDispatcher, CWLJobGatherer

DIR = os.path.join(os.path.dirname(os.path.abspath(os.path.join(__file__, "../"))), "cwls")

def cwl_workflow(workflow_file):
    dag = CWLDAG(cwl_workflow=workflow_file)  # ünïcode
    dag.create()
    dag.add(CWLJobDispatcher(dag=dag), to='top')
    dag.add(CWLJobGatherer(dag=dag), to='bottom')
    return dag

dag = cwl_workflow(os.path.join(DIR, "sleep.v2.cwl"))
"""
PARSER_AFTER = """#!/usr/bin/env python3
import os
from cwl_ui_plugin import CWLDAG

DIR = os.path.join(os.path.dirname(os.path.abspath(os.path.join(__file__, "../"))), "cwls")

def cwl_workflow(workflow_file):
    dag = CWLDAG(workflow=workflow_file, \
dag_id=workflow_file.split("/")[-1].replace(".cwl", "").replace(".", "_dot_"))  # ünïcode
    return dag

dag = cwl_workflow(os.path.join(DIR, "sleep.v2.cwl"))
"""
FIRST = """from cwl_airflow import CWLDAG, CWLJobDispatcher, CWLJobGatherer
dag = CWLDAG(cwl_workflow="/data/a.cwl", dag_id='first', schedule_interval="@once", default_args={'tmp_folder':'/tmp'})
dag.create()
dag.add(CWLJobDispatcher(dag=dag), to='top')
dag.add(CWLJobGatherer(dag=dag), to='bottom')
"""
FIRST_AFTER = """from cwl_ui_plugin import CWLDAG
dag = CWLDAG(workflow="/data/a.cwl", dag_id='first', schedule=None, default_args={'tmp_folder':'/tmp'})
"""
LATER = """from cwl_airflow.extensions.cwldag import CWLDAG as Flow
from cwl_airflow.extensions.operators.cwljobdispatcher import CWLJobDispatcher

args = {"cwl": {"debug": True, "parallel": True}}

dag = Flow(
    workflow="my.cwl",
    dispatcher=CWLJobDispatcher(task_id="d"),
    dag_id="later",
    default_args=args,
    gatherer=None
)
"""
LATER_AFTER = """from cwl_ui_plugin import CWLDAG as Flow

args = {"cwl": {"debug": True, "parallel": True}}

dag = Flow(
    workflow="my.cwl",
    dag_id="later",
    default_args=args
)
"""


def run(*words: str) -> int:
    return main.main(["migrate-dags", *words])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "dags"
    made.mkdir()
    return made


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (PARSER, PARSER_AFTER, ""),
        (FIRST, FIRST_AFTER, ":2: note: default_args['tmp_folder']"),
        (LATER, LATER_AFTER, ":4: note: default_args['cwl']"),
        (FIRST.replace("\n", "\r\n"), FIRST_AFTER.replace("\n", "\r\n"), ""),
    ],
)
def test_a_dag_file_of_each_generation_is_rewritten(
    folder: Path, capsys: pytest.CaptureFixture[str], before: str, after: str, told: str
) -> None:
    file = folder / "flow.py"
    file.write_bytes(before.encode())
    file.chmod(0o640)
    assert run(str(folder), "--dry-run") == 0
    assert file.read_bytes() == before.encode()
    assert "1 would be migrated" in capsys.readouterr().out
    assert run(str(folder)) == 0
    shown = capsys.readouterr().out
    assert file.read_bytes().decode() == after
    assert (folder / "flow.py.bak").read_bytes() == before.encode()
    assert file.stat().st_mode & 0o777 == 0o640
    assert told in shown
    assert "+from cwl_ui_plugin import CWLDAG" in shown
    assert run(str(folder)) == 0  # nothing is left to be done
    assert sorted(path.name for path in folder.iterdir()) == ["flow.py", "flow.py.bak"]


def test_a_compressed_workflow_gets_a_file(folder: Path) -> None:
    packed = base64.b64encode(gzip.compress(b"cwlVersion: v1.0\n")).decode()
    text = f'from cwl_airflow.extensions.cwldag import CWLDAG\ndag = CWLDAG(workflow="{packed}", dag_id="packed")\n'
    (folder / "a.py").write_text(text)
    assert run(str(folder)) == 0
    assert (folder / "packed.cwl").read_bytes() == b"cwlVersion: v1.0\n"
    assert "workflow='packed.cwl'" in (folder / "a.py").read_text()
    (folder / "a.py").write_text(text.replace('dag_id="packed"', 'dag_id="../packed"'))
    assert run(str(folder)) == 1
    (folder / "packed.cwl").write_text("another")
    (folder / "a.py").write_text(text)
    assert run(str(folder)) == 1
    assert (folder / "packed.cwl").read_text() == "another"
    assert (folder / "a.py").read_text() == text


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("class Mine(CWLJobDispatcher):\n    pass\n", ":2: Mine changes CWLJobDispatcher"),
        ("dag = CWLDAG(cwl_workflow='a.cwl')\ndag.add(other, to='top')\n", ":3: add() is no more"),
        ("dag = CWLDAG(cwl_workflow='a.cwl'); dag.create()\n", ":2: Several statements stand in one line"),
        ("dag = CWLDAG(cwl_workflow=find())\n", ":2: CWLDAG has no dag_id"),
        ("dag = CWLDAG('a', 'a.cwl', {})\n", ":2: CWLDAG takes two arguments"),
        ("dag = CWLDAG(dag_id='a')\n", ":2: CWLDAG has no workflow"),
        ("make = CWLDAG\n", ":2: CWLDAG is used here in a way"),
        ("dag = CWLDAG(cwl_workflow='a.cwl', gatherer=mine)\n", ":2: A gatherer of its own"),
        ("dag = CWLDAG(cwl_workflow='a.cwl', default_view='graph')\n", ":2: Airflow 3 has no default_view"),
        ("dag = CWLDAG(cwl_workflow='H4sIAAAAno', dag_id='a')\n", ":2: The compressed workflow can't be read"),
        ("dag = CWLDAG(cwl_workflow='a.cwl')\nif dag:\n    dag.create()\n", ":4: Nothing is left of this block"),
        (
            "try:\n    from cwl_airflow import CWLJobGatherer\nexcept ImportError:\n    pass\n",
            ":3: Without what is not",
        ),
        ("import cwl_airflow\n", ":2: Write `from cwl_ui_plugin import CWLDAG`"),
        ("from cwl_airflow.utilities.report import dag_on_success\n", ":2: cwl-ui-plugin has nothing for dag_on_succ"),
        ("DAG(dag_id='clean_dag_run')\n", ":2: The plugin has a Dag clean_dag_run"),
        ("print 'Python 2'\n", ":2: The file is no Python 3"),
    ],
)
def test_what_can_not_be_translated_is_named_with_its_line(
    folder: Path, capsys: pytest.CaptureFixture[str], code: str, told: str
) -> None:
    text = f"from cwl_airflow_parser import CWLDAG, CWLJobDispatcher\n{code}"
    (folder / "a.py").write_text(text)
    assert run(str(folder)) == 1
    shown = capsys.readouterr().out
    assert f"a.py{told}" in shown
    assert "1 left as they are" in shown
    assert [path.name for path in folder.iterdir()] == ["a.py"]
    assert (folder / "a.py").read_text() == text


def test_hostile_files_are_read_and_not_run(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mark = tmp_path / "ran"
    evil = f"open({str(mark)!r}, 'w').write('x')\n"
    (folder / "evil.py").write_text(f"{evil}{FIRST}")
    (folder / "deep.py").write_text("from cwl_airflow import CWLDAG\nx = " + "(" * 5000 + ")" * 5000 + "\n")
    (folder / "sum.py").write_text("from cwl_airflow import CWLDAG\nx = " + "+".join(["'a'"] * 3000) + "\n")
    (folder / "latin.py").write_bytes(b"# cwl_airflow \xff\n")
    (folder / "null.py").write_bytes(b"# cwl_airflow\n\0")
    (folder / "link.py").symlink_to(tmp_path / "elsewhere.py")
    (tmp_path / "elsewhere.py").write_text(FIRST)
    (folder / "other.py").write_text("print('no cwl_airflow here')\n")
    assert run(str(folder)) == 1
    assert not mark.exists()
    assert (tmp_path / "elsewhere.py").read_text() == FIRST
    assert "Traceback" not in "".join(capsys.readouterr())
    ast.parse((folder / "evil.py").read_text())
    assert run(str(tmp_path / "no-such-folder")) == 2


def test_files_that_were_kept_are_not_overwritten(folder: Path) -> None:
    (folder / "a.py").write_text(FIRST)
    (folder / "a.py.bak").write_text("kept before")
    assert run(str(folder / "a.py")) == 0
    assert (folder / "a.py.bak").read_text() == "kept before"
    assert (folder / "a.py.bak1").read_text() == FIRST


def test_workflows_are_uploaded_and_their_files_put_out_of_use(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sent: list[tuple[str, str, str]] = []

    def upload(file: str, *, dag_id: str) -> None:
        sent.append((Path(file).name, dag_id, Path(file).read_text()))

    monkeypatch.setattr(migrate_dags, "upload", upload)
    monkeypatch.setattr(migrate_dags.Client, "of", lambda _arguments: SimpleNamespace(drive=lambda _flow: None))
    cwls = folder / "cwls"
    cwls.mkdir()
    (cwls / "sleep.v2.cwl").write_text("sleep")
    (folder / "a").mkdir()
    (folder / "a" / "parser.py").write_text(PARSER)
    packed = base64.b64encode(gzip.compress(b"packed")).decode()
    (folder / "b.py").write_text(f"from cwl_airflow import CWLDAG\nCWLDAG(workflow={packed!r}, dag_id='packed')\n")
    (folder / "c.py").write_text("from cwl_airflow import CWLDAG\nCWLDAG(workflow=find(), dag_id='found')\n")
    (folder / "d.py").write_text("from airflow import DAG\nfrom cwl_airflow import CWLDAG\nCWLDAG('d', '/d.cwl')\n")
    (folder / "e.py").write_text("from cwl_airflow import CWLDAG\nCWLDAG(workflow='H4sIAAAAno', dag_id='e')\n")
    assert run(str(folder), "--upload", "--dry-run") == 1
    assert sent == []
    assert run(str(folder), "--upload") == 1
    assert sorted(sent) == [("packed.cwl", "packed", "packed"), ("sleep.v2.cwl", "sleep_dot_v2", "sleep")]
    assert sorted(path.name for path in folder.rglob("*.py*")) == ["b.py.bak", "c.py", "d.py", "e.py", "parser.py.bak"]
    shown = capsys.readouterr()
    assert "can't be told from its text" in shown.out
    assert "it has other Dags" in shown.out
    assert "can't be read" in shown.err
