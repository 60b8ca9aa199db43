"""Whatever goes wrong, the command says it in a line, and ends with an exit code."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import pytest

from cwl_ui_plugin.cli import keys, main


def fail_with(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(_arguments: argparse.Namespace) -> int:
        raise error

    monkeypatch.setattr(keys, "run", run)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (KeyError("x"), "KeyError: 'x' (an error of this command; CWL_UI_DEBUG=1 shows where)"),
        (ValueError("two\nlines"), "ValueError: two lines (an error of this command; CWL_UI_DEBUG=1 shows where)"),
        (PermissionError(13, "Permission denied", "/x"), "Permission denied: /x"),
        (OSError(28, "No space left on device"), "No space left on device"),
    ],
)
def test_what_nobody_has_foreseen_is_one_line(
    error: Exception, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(main.DEBUG, raising=False)
    fail_with(error, monkeypatch)
    assert main.main(["keys", "generate", "out"]) == 1
    assert capsys.readouterr().err == f"cwl-ui-plugin keys: {told}\n"


def test_where_it_went_wrong_is_shown_on_demand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(main.DEBUG, "1")
    fail_with(KeyError("x"), monkeypatch)
    with pytest.raises(KeyError):
        main.main(["keys", "generate", "out"])


def test_a_reader_that_has_read_enough_is_no_error(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "cwl_ui_plugin.cli.main", "keys", "generate", str(tmp_path / "key"), "-a", "EdDSA"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 1
