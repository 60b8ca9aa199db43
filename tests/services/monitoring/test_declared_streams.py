"""Which output of a tool takes what its command prints."""

from __future__ import annotations

import pytest

from cwl_ui_plugin.services.monitoring.declared_streams import _output_of

WHOLE = {"id": "#main/table", "outputBinding": {"glob": "counts.tsv"}}
VALUE = {"id": "#main/lines", "outputBinding": {"glob": "counts.tsv", "outputEval": "$(self[0].size)"}}
OTHER = {"id": "#main/log", "outputBinding": {"glob": "log.txt"}}


@pytest.mark.parametrize(
    ("outputs", "output"),
    [
        ([OTHER, VALUE, WHOLE], "table"),
        ([WHOLE, VALUE], "table"),
        ([OTHER, VALUE], "lines"),
        ([OTHER, {"id": "#main/none"}], None),
    ],
)
def test_the_file_itself_comes_before_a_value_that_is_read_from_it(
    outputs: list[dict[str, object]], output: str | None
) -> None:
    assert _output_of({"outputs": outputs}, "counts.tsv") == output
