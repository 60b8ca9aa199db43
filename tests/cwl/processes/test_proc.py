"""What /proc says of processes, which end at any moment."""

from __future__ import annotations

import os
import subprocess

import pytest

from cwl_ui_plugin.cwl.processes import proc


def test_children_are_found() -> None:
    child = subprocess.Popen(["sleep", "600"])
    try:
        assert child.pid in list(proc.children_of(os.getpid()))
    finally:
        child.kill()
        child.wait()


@pytest.mark.parametrize("error", [FileNotFoundError, ProcessLookupError, PermissionError])
def test_a_process_that_ends_while_it_is_looked_at_has_no_children(
    monkeypatch: pytest.MonkeyPatch, error: type[OSError]
) -> None:
    """cwltool takes an OSError there for a program that is not installed: the step would fail for good."""

    def gone(path: str) -> list[str]:
        raise error(path)

    monkeypatch.setattr(proc.os, "listdir", gone)
    assert list(proc.children_of(os.getpid())) == []


def test_a_thread_that_ends_while_it_is_looked_at_has_no_children(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proc.os, "listdir", lambda _path: ["0"])
    assert list(proc.children_of(os.getpid())) == []
