"""Documents of Dag files."""

from __future__ import annotations

from pathlib import Path

import pytest

from cwl_ui_plugin import config
from cwl_ui_plugin.library.documents import local_document

WORKFLOW = (
    "cwlVersion: v1.2\nclass: Workflow\ninputs: []\noutputs: []\nsteps: {s: {run: ../tools/t.cwl, in: [], out: []}}\n"
)
TOOL = "cwlVersion: v1.2\nclass: CommandLineTool\nbaseCommand: 'true'\ninputs: []\noutputs: []\n"


def test_a_document_beside_the_folder_of_the_dag_file_is_compiled_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "workflows_folder", lambda: tmp_path / "store")
    monkeypatch.setattr(config, "flag", lambda _name: False)
    monkeypatch.setattr(config, "number", lambda _name: 120.0)
    for name in ("wf", "tools", "dags"):
        (tmp_path / name).mkdir()
    (tmp_path / "wf" / "x.cwl").write_text(WORKFLOW)
    (tmp_path / "tools" / "t.cwl").write_text(TOOL)
    found = local_document(tmp_path / "dags" / ".." / "wf" / "x.cwl", "x")
    assert found.main == "wf/x.cwl"
    assert local_document(tmp_path / "wf" / "x.cwl", "x").digest == found.digest
