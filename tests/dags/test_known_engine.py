"""A worker asks its container engine once in a while, and not in each task; only what has answered is kept."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cwl_ui_plugin import config
from cwl_ui_plugin.config import ConfigError
from cwl_ui_plugin.cwl.errors import StepError
from cwl_ui_plugin.dags import known_engine
from cwl_ui_plugin.dags.known_engine import KEPT_SECONDS, engine_here


class Engines:
    """Programs that are alone on the PATH and note that they were asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "programs"
        self.folder.mkdir()
        self._asked = folder / "asked"
        self._asked.touch()

    def put(self, name: str, exit_code: int = 0) -> None:
        program = self.folder / name
        program.unlink(missing_ok=True)
        program.write_text(f"#!/bin/sh\necho {name} >> {self._asked}\nexit {exit_code}\n")
        program.chmod(0o755)

    @property
    def asked(self) -> list[str]:
        return self._asked.read_text().split()


@pytest.fixture
def engines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engines:
    monkeypatch.setenv("AIRFLOW__CWL__TMP_FOLDER", str(tmp_path / "tmp"))
    monkeypatch.setenv("AIRFLOW__CWL__CONTAINER_ENGINE", "auto")
    made = Engines(tmp_path)
    monkeypatch.setenv("PATH", str(made.folder))
    return made


def kept() -> Path:
    (path,) = (config.control_folder() / "engines").iterdir()
    return path


def change(**fields: Any) -> None:
    kept().write_text(json.dumps({**json.loads(kept().read_text()), **fields}))


@pytest.mark.parametrize("wanted", ["auto", "podman"])
def test_the_second_task_does_not_ask(engines: Engines, monkeypatch: pytest.MonkeyPatch, wanted: str) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__CONTAINER_ENGINE", wanted)
    engines.put("podman")
    assert [engine_here(), engine_here()] == ["podman", "podman"]
    assert engines.asked == ["podman"]


def test_what_was_found_is_of_one_option_machine_and_user(engines: Engines, monkeypatch: pytest.MonkeyPatch) -> None:
    engines.put("podman")
    engine_here()
    monkeypatch.setattr(known_engine, "this_machine", lambda: "another")
    engine_here()
    monkeypatch.setenv("AIRFLOW__CWL__CONTAINER_ENGINE", "podman")
    engine_here()
    user, folder = os.geteuid() + 1, config.control_folder()
    monkeypatch.setattr(config, "control_folder", lambda: folder)
    monkeypatch.setattr(os, "geteuid", lambda: user)
    engine_here()
    assert engines.asked == ["podman"] * 4


@pytest.mark.parametrize("seconds", [KEPT_SECONDS + 1, -3600])
def test_it_is_kept_for_a_while(engines: Engines, seconds: float) -> None:
    engines.put("podman")
    engine_here()
    change(at=json.loads(kept().read_text())["at"] - seconds)
    engine_here()
    engine_here()
    assert engines.asked == ["podman", "podman"]


def test_another_program_is_asked(engines: Engines) -> None:
    engines.put("podman")
    engine_here()
    os.utime(engines.folder / "podman", ns=(0, 0))
    engine_here()
    (engines.folder / "podman").unlink()
    engines.put("docker")
    assert engine_here() == "docker"
    assert engines.asked == ["podman", "podman", "docker"]


def test_an_engine_that_was_removed_is_not_used(engines: Engines) -> None:
    engines.put("podman")
    engine_here()
    (engines.folder / "podman").unlink()
    assert engine_here() == "none"


def test_what_does_not_answer_is_not_kept(engines: Engines) -> None:
    engines.put("podman", exit_code=1)
    for _try in range(2):
        with pytest.raises(StepError) as caught:
            engine_here()
        assert caught.value.kind == "temporaryFail"
    engines.put("podman")
    assert engine_here() == "podman"


def test_that_none_is_installed_is_not_kept(engines: Engines) -> None:
    assert engine_here() == "none"
    engines.put("podman")
    assert engine_here() == "podman"


def a_folder(path: Path) -> None:
    path.mkdir()


def a_fifo(path: Path) -> None:
    os.mkfifo(path)


def a_link(path: Path) -> None:
    path.symlink_to("/etc/passwd")


def half(path: Path) -> None:
    path.write_text('{"engine": "po')


def saying(**fields: Any) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        program = path.parents[3] / "programs/podman"
        good = {"engine": "podman", "program": str(program), "changed": program.stat().st_mtime_ns, "at": 1e12}
        path.write_text(json.dumps({**good, **fields}))

    return write


@pytest.mark.parametrize(
    "put",
    [
        a_folder,
        a_fifo,
        a_link,
        half,
        saying(),
        saying(engine="none"),
        saying(engine="docker"),
        saying(at="now"),
        saying(program=None),
    ],
)
def test_nothing_else_is_believed(engines: Engines, put: Callable[[Path], None]) -> None:
    """Least of all that there is none: a tool would leave its container."""
    engines.put("podman")
    engine_here()
    place = kept()
    place.unlink()
    put(place)
    assert engine_here() == "podman"
    assert engines.asked == ["podman", "podman"]


def test_what_is_old_is_removed(engines: Engines) -> None:
    engines.put("podman")
    old = config.control_folder() / "engines/other.json"
    old.parent.mkdir()
    old.touch()
    os.utime(old, (0, 0))
    engine_here()
    assert not old.exists()


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "long"])
def test_a_timeout_must_be_seconds(engines: Engines, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__CONTAINER_ENGINE_TIMEOUT", value)
    with pytest.raises(ConfigError, match="container_engine_timeout"):
        engine_here()


def test_the_timeout_is_the_option(engines: Engines, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__CONTAINER_ENGINE_TIMEOUT", "0.2")
    os.mkfifo(tmp_path / "never")
    engines.put("podman")
    (engines.folder / "podman").write_text(f"#!/bin/sh\nread line < {tmp_path}/never\n")
    with pytest.raises(StepError, match=r"0\.2 seconds"):
        engine_here()


def test_a_task_asks_only_for_a_tool_with_an_image(engines: Engines, tmp_path: Path) -> None:
    from cwl_ui_plugin.dags.folders.run_folder import TaskTry
    from cwl_ui_plugin.dags.operators import CwlStepOperator, Document

    engines.put("podman")
    operator, task = CwlStepOperator(task_id="x", document=Document(tmp_path, tmp_path)), TaskTry("d", "r", "x", -1, 1)
    assert operator.run_settings(task).engine == "none"
    assert engines.asked == []
    assert operator.run_settings(task, "debian").engine == "podman"
    assert engines.asked == ["podman"]
