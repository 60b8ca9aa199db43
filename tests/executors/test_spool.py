"""What jobs find on the shared file system: for their user alone, and nothing that tasks have no use for."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from cwl_ui_plugin.dags.folders import run_folder
from cwl_ui_plugin.executors import spool
from cwl_ui_plugin.executors.needs import Needs
from cwl_ui_plugin.executors.spool import Instance, Submission

TOKEN = "eyJ.of.a.workload"
ONE = Instance("00000000-0000-0000-0000-000000000001", "d", "r", "align", -1, 2)


def test_files_are_for_their_user_and_arguments_have_no_secret(folders: Path) -> None:
    made = spool.prepare([ONE], [json.dumps({"token": TOKEN})])
    files = [path for path in (folders / "tmp" / ".control" / "slurm").rglob("*") if path.is_file()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert stat.S_IMODE(made.folder.stat().st_mode) == 0o700
    assert TOKEN in (made.folder / "0.json").read_text()
    told = " ".join([made.script(), *made.arguments(Needs())])
    assert TOKEN not in told
    assert spool.read(made.id) == made
    spool.forget(made.id)
    assert (spool.read(made.id), list(spool.known())) == (None, [])


def test_tasks_get_what_they_need_of_the_environment() -> None:
    own = {
        "PATH": "/bin",
        "AIRFLOW_HOME": "/srv",
        "AIRFLOW__CWL__TMP_FOLDER": "/srv/tmp",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "secret",
        "AIRFLOW__API_AUTH__JWT_SECRET": "secret",
        "AIRFLOW__API__SECRET_KEY": "secret",
        "AIRFLOW__CORE__FERNET_KEY": "secret",
        "AIRFLOW__CORE__FERNET_KEY_CMD": "secret",
        "AIRFLOW__CELERY__BROKER_URL": "secret",
        "AIRFLOW_CONN_RECEIVER": "secret",
        "AIRFLOW_VAR_KEY": "secret",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "CWL_UI_PLUGIN_TASK": "another task's",
    }
    assert spool.environment_of_tasks(own) == {name: own[name] for name in list(own)[:3]}


def test_comments_tell_whose_jobs_are_and_of_others_nothing(folders: Path) -> None:
    made = Submission("0" * 32, (Instance("1", 'd"|\n;é', "r" * 300, "align", 3, 1),))
    assert spool.submission_in(made.comment) == "0" * 32
    assert len(made.comment) <= 200
    assert not set('"|\n;') & set(made.comment + made.name)
    for other in ("", "(null)", f"airflow:{'0' * 12}:{'0' * 32} d r", f"airflow:{run_folder.this_installation()}:../x"):
        assert spool.submission_in(other) is None


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"instances": [{"id": "1"}]}', b'{"instances": 7}'])
def test_a_submission_that_can_not_be_read_is_none(folders: Path, content: bytes) -> None:
    made = spool.prepare([ONE], ["{}"])
    (made.folder / spool.SUBMISSION).write_bytes(content)
    assert spool.read(made.id) is None


@pytest.mark.parametrize(("content", "code"), [("0", 0), ("143", 143), ("", None), ("x", None)])
def test_codes(folders: Path, content: str, code: int | None) -> None:
    made = spool.prepare([ONE], ["{}"])
    assert spool.exit_code(made.id, 0) is None
    (made.folder / "0.end").write_text(content)
    assert spool.exit_code(made.id, 0) == code


def test_last_words_are_the_end_of_what_was_printed_without_logs_of_airflow(folders: Path) -> None:
    made = spool.prepare([ONE], ["{}"])
    (made.folder / "0.out").write_text('{"event": "x"}\nslurmstepd: error: \x1b[31mOOM\n\n')
    assert spool.last_words(made.id, 0) == "slurmstepd: error: [31mOOM"
    assert spool.last_words(made.id, 1) == ""


def test_what_an_earlier_scheduler_has_left_long_ago_goes(folders: Path) -> None:
    old, kept, new = (spool.prepare([ONE], ["{}"]) for _ in range(3))
    for made in (old, kept):
        os.utime(made.folder, (0, 0))
    spool.forget_older(3600, {kept.id})
    assert set(spool.known()) == {kept.id, new.id}
