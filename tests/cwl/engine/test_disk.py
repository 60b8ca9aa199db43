"""A step whose disk is too full does not start, and says so."""

from __future__ import annotations

from collections import namedtuple
from pathlib import Path

import pytest
from support.compiled_run import run_compiled

from cwl_ui_plugin.cwl.compiler import compiling
from cwl_ui_plugin.cwl.engine import disk, run_settings
from cwl_ui_plugin.cwl.errors import StepError

Usage = namedtuple("Usage", "total used free")
TOOL = """
cwlVersion: v1.2
class: {kind}
requirements: {{ResourceRequirement: {{{asked}}}{more}}}
baseCommand: [touch, started]
inputs: {{gigabytes: int}}
outputs: {{}}
"""


@pytest.mark.parametrize(
    ("asked", "free", "starts"),
    [
        ("", 100, True),
        ("", 10, False),
        ("tmpdirMin: 500, outdirMin: 600", 1000, False),
        ("tmpdirMin: 500, outdirMin: 600", 1200, True),
        ("outdirMin: $(inputs.gigabytes * 1000)", 2000, False),
        ("outdirMin: $(inputs.gigabytes * 1000)", 3500, True),
    ],
)
def test_a_step_starts_if_the_disk_has_the_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str, free: int, starts: bool
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    tool = TOOL.format(kind="CommandLineTool", asked=asked, more=", InlineJavascriptRequirement: {}")
    (source / "main.cwl").write_text(tool)
    compiling.compile_document(source, "main.cwl", tmp_path / "compiled")
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda _path: Usage(9**12, 0, free * disk.MEBIBYTE))

    def run() -> None:
        run_compiled(tmp_path / "compiled", source, {"gigabytes": 3}, tmp_path / "run")

    run_settings.preload()
    if starts:
        run()
        return
    with pytest.raises(StepError, match=rf"disk space.*and {free} MiB are free") as caught:
        run()
    assert caught.value.kind == "temporaryFail"
