"""Components that die are started again, as long as there is hope; what is not ready is waited for while it gets on."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from support.processes import is_living

from cwl_ui_plugin.cli import components as module
from cwl_ui_plugin.cli import readiness
from cwl_ui_plugin.cli.components import Components
from cwl_ui_plugin.cli.errors import CliError
from cwl_ui_plugin.cli.home import Home
from cwl_ui_plugin.cli.readiness import Readiness
from cwl_ui_plugin.servers import FILE_VARIABLE, server_id

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]
FAIL = [sys.executable, "-c", "import sys; print('no good reason'); sys.exit(3)"]
# A leader with a child in a process group of its own, and one in a session of its own below that.
FAMILY = [
    sys.executable,
    "-c",
    "import os, subprocess, time\n"
    "if os.fork() == 0:\n"
    "    os.setpgid(0, 0)\n"
    "    subprocess.Popen(['sleep', '600.25'], start_new_session=True)\n"
    "time.sleep(600)\n",
]


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def made(tmp_path: Path, said: list[str]) -> Iterator[Components]:
    components = Components(tmp_path, dict(os.environ), said.append)
    yield components
    components.stop()


def until(condition: Callable[[], object], made: Components) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        made.keep_running()
        time.sleep(0.01)


def living(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [process for process in processes if is_living(process)]


def test_what_a_dead_component_leaves_is_ended_before_it_is_started_again(
    made: Components, said: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE_SECONDS", 0.0)
    leader = psutil.Process(made.start("scheduler", FAMILY).pid)
    until(lambda: len(leader.children(recursive=True)) == 2, made)
    family = leader.children(recursive=True)
    other = psutil.Process(made.start("triggerer", SLEEP).pid)
    leader.kill()
    until(lambda: said, made)
    assert living(family) == []
    assert living([other]) == [other]
    until(lambda: made.is_running("scheduler"), made)
    assert said == [f"scheduler ended with -9; it is started again in 0 s ({tmp_path / 'scheduler.log'})"]
    told = json.loads(Path(made.environment[FILE_VARIABLE]).read_text())
    assert [(entry["component"], entry["exit_code"]) for entry in told] == [("scheduler", "-9")]


def test_what_dies_again_and_again_ends_the_server_with_the_end_of_its_log(
    made: Components, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE_SECONDS", 0.001)
    made.start("scheduler", FAIL)
    with pytest.raises(
        CliError, match=r"scheduler ended 6 times within 10 minutes, at last with 3(.|\n)*no good reason"
    ):
        until(lambda: False, made)
    assert len(said) == module.MAX_RESTARTS


def test_pauses_grow_and_old_deaths_are_forgiven(made: Components, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
    component = made._running.setdefault("x", module.Component("x", FAIL, made._spawn("x", FAIL)))
    pauses = []
    for _ in range(module.MAX_RESTARTS):
        component.process.wait()
        made.keep_running()
        assert component.restart_at is not None
        pauses.append(component.restart_at - clock[0])
        clock[0] = component.restart_at
        made.keep_running()
    assert pauses == [1, 2, 4, 8, 16]
    clock[0] += module.WINDOW_SECONDS
    component.process.wait()
    made.keep_running()
    assert component.restart_at == clock[0] + 1


class Answers:
    """What servers answer to a look at their health."""

    def __init__(self, components: Components, monkeypatch: pytest.MonkeyPatch) -> None:
        healthy = {part: {"status": "healthy"} for part in readiness.PARTS}
        self.ours = {"ready": True, "server": server_id(components.tag)}
        self.all = {"/cwl/api/v1/health": self.ours, "/api/v2/monitor/health": healthy, "/execution/health": {"a": 1}}
        monkeypatch.setattr(readiness, "_get", lambda url: self.all.get(url.removeprefix("http://x")))
        for name in readiness.PARTS.values():
            components.start(name, SLEEP)


def test_only_the_own_api_server_counts(made: Components, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = Answers(made, monkeypatch)
    assert Readiness("http://x", made).look()
    for other in ("somebody else", None):
        answers.ours["server"] = other
        assert Readiness("http://x", made).waiting() == {"api-server"}
    del answers.ours["server"]
    assert not Readiness("http://x", made).look()


@pytest.mark.parametrize(
    ("path", "answer", "waiting"),
    [
        ("/execution/health", None, "api-server"),
        ("/api/v2/monitor/health", None, "api-server"),
        (
            "/api/v2/monitor/health",
            {"dag_processor": {"status": "healthy"}, "triggerer": {"status": "healthy"}},
            "scheduler",
        ),
    ],
)
def test_all_parts_must_be_there(
    made: Components, monkeypatch: pytest.MonkeyPatch, path: str, answer: object, waiting: str
) -> None:
    answers = Answers(made, monkeypatch)
    answers.all[path] = answer  # type: ignore[assignment]
    assert Readiness("http://x", made).waiting() == {waiting}


def test_what_gets_on_is_waited_for_and_what_hangs_is_not(made: Components, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = Answers(made, monkeypatch)
    del answers.all["/cwl/api/v1/health"]
    clock, progress = [0.0], [0.0, 0]
    monkeypatch.setattr(readiness.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(made, "progress", lambda _names: tuple(progress))
    started = Readiness("http://x", made)
    for step in range(20):  # an hour on a very slow machine
        progress[step % 2] += 1
        clock[0] += readiness.STALLED_SECONDS
        assert not started.look()
    progress[0] += 0.1  # what an idle process uses
    clock[0] += readiness.STALLED_SECONDS
    started.look()
    clock[0] += readiness.LOOK_SECONDS
    with pytest.raises(CliError, match="api-server has not got on for 180 seconds"):
        started.look()


def test_the_progress_of_a_component_is_its_cpu_time_and_its_log(made: Components) -> None:
    made.start("busy", [sys.executable, "-c", "print('x' * 99, flush=True)\nwhile True: pass"])
    until(lambda: made.progress(["busy"])[0] > 0.2 and made.progress(["busy"])[1] == 100, made)
    assert made.progress(["unknown"]) == (0.0, 0)


def test_a_home_that_others_can_read_is_closed(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "cwl" / "outputs").mkdir(parents=True)
    (home / "dags").mkdir()
    (tmp_path / "elsewhere").write_text("")
    for name in ("airflow.db", "cwl/outputs/x.sh", "dags/mine.py"):
        (home / name).write_text("")
    (home / "cwl" / "link").symlink_to(tmp_path / "elsewhere")
    for path in (home, *home.rglob("*")):
        path.chmod(0o777)
    Home(home, "simple").prepare("127.0.0.1", 8080, [])
    modes = {path.name: path.stat().st_mode & 0o777 for path in home.rglob("*")}
    assert home.stat().st_mode & 0o777 == 0o700
    assert {modes[name] for name in ("cwl", "outputs", "airflow.db", "x.sh")} == {0o700}
    assert (modes["dags"], modes["mine.py"], modes["link"]) == (0o777, 0o777, 0o777)
