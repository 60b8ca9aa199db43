"""Documents that are compressed in a Dag file, which names paths in the same place."""

from __future__ import annotations

import base64
import gzip
import zlib

import pytest

from cwl_ui_plugin.library.compressed import decompressed, is_compressed


@pytest.mark.parametrize("level", range(1, 10))
def test_what_gzip_and_zlib_write_is_told_from_paths(level: int) -> None:
    document = b"cwlVersion: v1.2\nclass: CommandLineTool\n"
    for packed in (gzip.compress(document, level), zlib.compress(document, level)):
        text = base64.b64encode(packed).decode()
        assert is_compressed(text)
        assert decompressed(text, len(document)) == document


@pytest.mark.parametrize(
    "path", ["eJ.cwl", "eNtropy/flow.yaml", "eAst/flow.cwl#main", "eF/a.json", "/data/flow.cwl", "eN"]
)
def test_paths_are_no_documents(path: str) -> None:
    assert not is_compressed(path)
