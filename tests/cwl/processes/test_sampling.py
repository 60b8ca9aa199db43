"""What commands use is sampled while they run, and what is written stays short."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cwl_ui_plugin.cwl.processes import sampling

BUSY = "kept = bytearray(50_000_000)\nwhile True: pass"


def samples(folder: Path) -> list[tuple[float, ...]]:
    path = folder / sampling.USAGE
    lines = path.read_text().splitlines() if path.exists() else []
    return [tuple(map(float, line.split())) for line in lines]


def test_cores_and_memory_of_a_command_below_a_shell_are_seen(tmp_path: Path, eventually: Callable[..., Any]) -> None:
    with sampling.sampling(tmp_path, interval=0.05):
        shell = subprocess.Popen(
            ["sh", "-c", '"$0" -c "$1"; true', sys.executable, BUSY], stdin=subprocess.DEVNULL, start_new_session=True
        )
        try:
            found = eventually(
                lambda: [line for line in samples(tmp_path) if line[1] > 0.2 and line[2] > 50_000_000], 30
            )
        finally:
            os.killpg(shell.pid, signal.SIGKILL)
            shell.wait()
    assert found[0][0] > 1.7e9


def test_a_short_command_is_not_sampled(tmp_path: Path) -> None:
    with sampling.sampling(tmp_path):
        subprocess.run(["true"], check=True)
    assert not (tmp_path / sampling.USAGE).exists()


def test_a_folder_that_is_gone_disturbs_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In this thread, where an error would be one of the test; the second look shows that the first ended nothing."""
    sampler, looks = sampling._Sampler(tmp_path / "gone", 0.01), []
    write = sampler._write

    def noting(cores: float, memory: int) -> None:
        looks.append(cores)
        if len(looks) == 2:
            sampler.stop.set()
        write(cores, memory)

    monkeypatch.setattr(sampler, "_has_changed", lambda _cores, _memory: True)
    monkeypatch.setattr(sampler, "_write", noting)
    sampler.run()
    assert len(looks) == 2


def test_long_runs_are_written_with_fewer_and_fewer_lines(tmp_path: Path) -> None:
    sampler = sampling._Sampler(tmp_path, 1.0)
    for number in range(10 * sampling.MAX_LINES):
        sampler._write(float(number), number)
    assert len(samples(tmp_path)) < sampling.MAX_LINES
    assert sampler.interval > 8
    assert samples(tmp_path)[-1][1] > 9 * sampling.MAX_LINES
