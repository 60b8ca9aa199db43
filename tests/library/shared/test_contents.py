"""What an index says of archives is not believed before they are fetched."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cwl_ui_plugin.library.errors import DamagedArchive
from cwl_ui_plugin.library.shared import contents
from cwl_ui_plugin.library.shared.index import Archive


def test_an_archive_that_can_not_be_unpacked_is_not_fetched(tmp_path: Path, airflow_home: Path) -> None:
    bucket = SimpleNamespace(archive=lambda *_arguments: pytest.fail("fetched"))
    store: Any = SimpleNamespace(uploads=tmp_path, workflows=tmp_path, bucket=bucket)
    with pytest.raises(DamagedArchive, match="bytes"):
        contents.bring(store, "a", "0" * 32, Archive("0" * 64, 2**50))
