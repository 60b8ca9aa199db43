"""What cwltool does without need, not done."""

from __future__ import annotations

from pathlib import Path

import pytest


class Counted(str):
    """A text that counts how often it is copied."""

    copies = 0

    def __deepcopy__(self, _memo: object) -> Counted:
        Counted.copies += 1
        return self


@pytest.mark.parametrize("declared", ["string[]", "string[]?"])
def test_a_long_list_is_bound_in_time_that_grows_with_its_length(tmp_path: Path, declared: str) -> None:
    from cwl_ui_plugin.cwl.compiler import compiling
    from cwl_ui_plugin.cwl.engine import execution, run_settings

    (tmp_path / "source").mkdir()
    (tmp_path / "source/main.cwl").write_text(
        f"""
cwlVersion: v1.2
class: CommandLineTool
baseCommand: echo
inputs: {{texts: {{type: "{declared}", inputBinding: {{prefix: -t}}}}}}
outputs: {{}}
"""
    )
    plan = compiling.compile_document(tmp_path / "source", "main.cwl", tmp_path / "compiled")
    run_settings.preload()
    texts = [Counted(number) for number in range(500)]
    Counted.copies = 0
    result = execution.run_step(
        tmp_path / "compiled",
        tmp_path / "source",
        plan.steps[0],
        {"texts": [texts, "success"]},
        tmp_path / "step",
        run_settings.RunSettings(engine="none", tag="test/preload/task/-1/1"),
    )
    assert result.command == ["echo", "-t", *texts]
    assert Counted.copies < 20 * len(texts)
