"""What a command writes to its standard error is in the task's log while the command runs, and never holds it up."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cwl_ui_plugin.dags.operators import log_streams
from cwl_ui_plugin.dags.operators.log_streams import LogStream, cleaned


class Log:
    """Keeps lines; ``held`` keeps whoever writes waiting."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.held = threading.Event()
        self.held.set()

    def info(self, text: str, *arguments: Any) -> None:
        self.held.wait(60)
        self.lines.append(text % arguments)

    def wait_for(self, line: str) -> None:
        deadline = time.monotonic() + 30
        while line not in self.lines:
            assert time.monotonic() < deadline, self.lines
            time.sleep(0.01)


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(log_streams, "SECONDS", 0.01)
    return tmp_path / "stderr.log"


@pytest.fixture
def stream(log: Log, path: Path) -> Iterator[LogStream]:
    made: Any = LogStream(log, path)  # type: ignore[arg-type]
    made.start()
    yield made
    log.held.set()


def test_lines_come_while_the_command_runs(stream: LogStream, log: Log, path: Path) -> None:
    with path.open("wb") as file:
        file.write(b"one\ntw")
        file.flush()
        log.wait_for("one")
        assert log.lines == ["one"]
        file.write("o ü\n\nthree".encode())
        file.flush()
        log.wait_for("two ü")
    assert stream.stop()
    assert log.lines == ["one", "two ü", "three"]


def test_what_comes_too_fast_is_left_out_and_the_log_says_so(log: Log, path: Path) -> None:
    path.write_bytes(b"line\n" * 100_000)
    stream = LogStream(log, path)  # type: ignore[arg-type]
    stream._look()
    with path.open("ab") as file:
        file.write(b"later\n")
    stream._look()
    assert log.lines[: log_streams.MAX_LINES] == ["line"] * log_streams.MAX_LINES
    assert "left out" in log.lines[log_streams.MAX_LINES]
    assert log.lines[-1] == "later"
    stream._stopping.set()
    stream.start()
    assert not stream.stop()  # so that the end of it is written once more


def test_a_task_writes_so_much_and_no_more(log: Log, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_streams, "MAX_ALL_BYTES", 50)
    stream = LogStream(log, path)  # type: ignore[arg-type]
    for number in range(100):
        with path.open("ab") as file:
            file.write(b"a line of some length %d\n" % number)
        stream._look()
    assert len(log.lines) <= 4
    assert "left out" in log.lines[-1]


def test_a_line_without_end_does_not_fill_the_memory(log: Log, path: Path) -> None:
    stream = LogStream(log, path)  # type: ignore[arg-type]
    for _ in range(40):
        with path.open("ab") as file:
            file.write(b"x" * 10_000)
        stream._look()
        assert len(stream._rest) <= log_streams.MAX_BYTES + 10_000


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("10 %\r20 %\r30 %\r\n", "30 %"),
        ("a\x08\x00b\u202egpj\ttab", "abgpj\ttab"),
        ("::endgroup::", " ::endgroup::"),
        ("##[endgroup]", " ##[endgroup]"),
        ("\x1b[2J\x1b[H", ""),
        ("x" * 5000, "x" * 4000 + "…"),
    ],
)
def test_nothing_in_it_plays_with_the_log(line: str, shown: str) -> None:
    assert cleaned(line) == shown


def test_a_link_or_a_pipe_in_its_place_is_not_read(stream: LogStream, log: Log, path: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret\n")
    path.symlink_to(tmp_path / "secret")
    stream.stop()
    assert log.lines == []


def test_a_log_that_takes_nothing_does_not_hold_up_the_command(stream: LogStream, log: Log, path: Path) -> None:
    log.held.clear()
    with path.open("wb") as file:
        code = "import sys\nfor _ in range(1000): sys.stderr.write('x' * 99_999 + '\\n')"
        assert subprocess.run([sys.executable, "-c", code], stderr=file, timeout=60).returncode == 0
    assert path.stat().st_size == 100_000_000  # ours has all of it
    log.held.set()
    assert not stream.stop()
    assert sum(map(len, log.lines)) < log_streams.MAX_ALL_BYTES
