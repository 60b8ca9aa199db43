"""Modules that are started in an interpreter of their own, in a working folder that anybody may have written to."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from cwl_ui_plugin import interpreters
from cwl_ui_plugin.interpreters import module_command

PACKAGE = Path(interpreters.__file__).parent
TOLD = "import json, sys; print(json.dumps([__name__, sys.argv[1:], sys.path]))"


@pytest.fixture(params=["with the flag", "without"])
def _python(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "without":
        monkeypatch.setattr(sys, "version_info", (3, 10))
    elif sys.version_info < (3, 11):
        pytest.skip("this Python has no such flag")


@pytest.mark.usefixtures("_python")
def test_no_module_is_taken_from_the_working_folder(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    for folder in (here, there):
        folder.mkdir()
    (there / "telling.py").write_text(TOLD)
    for name in ("telling", "json", "runpy", "cwl_ui_plugin", "sitecustomize"):
        (here / f"{name}.py").write_text("raise SystemExit('a module of the working folder')")
    command = module_command("telling", "a", "-m", "b")
    done = subprocess.run(command, cwd=here, env={"PYTHONPATH": str(there)}, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    name, arguments, path = json.loads(done.stdout)
    assert (name, arguments) == ("__main__", ["a", "-m", "b"])
    assert path[0] == str(there)
    assert not {"", str(here)} & set(path)


def test_no_other_way_is_used() -> None:
    others = [
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.List) and any(isinstance(one, ast.Constant) and one.value == "-m" for one in node.elts)
    ]
    assert others == ["interpreters.py"]
