"""What an index says of archives is not believed before they are fetched."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cwl_ui_plugin.library.errors import DamagedArchive
from cwl_ui_plugin.library.shared import contents
from cwl_ui_plugin.library.shared.index import Archive, Entry, Index
from cwl_ui_plugin.library.shared.known import Known


def test_an_archive_that_can_not_be_unpacked_is_not_fetched(tmp_path: Path, airflow_home: Path) -> None:
    bucket = SimpleNamespace(archive=lambda *_arguments: pytest.fail("fetched"))
    store: Any = SimpleNamespace(uploads=tmp_path, workflows=tmp_path, bucket=bucket)
    with pytest.raises(DamagedArchive, match="bytes"):
        contents.bring(store, "a", "0" * 32, Archive("0" * 64, 2**50))


def test_a_version_that_is_added_while_others_are_fetched_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = Index.new().having("a", Entry().with_version("0" * 32, Archive("0" * 64, 1)))
    new = old.having("b", Entry().with_version("1" * 32, Archive("1" * 64, 1)))
    known, dropped, now = Known(tmp_path), list[str](), [old]
    known.bring("c", "2" * 32, "2" * 64)

    def fetch_while_another_process_adds(*_what: object) -> bool:
        now[0] = new
        known.bring("b", "1" * 32, "1" * 64)
        return True

    store: Any = SimpleNamespace(
        index=lambda: now[0],
        known=known,
        filled="",
        workflows=tmp_path,
        uploads=tmp_path,
        drop=lambda dag_id, _digest: dropped.append(dag_id),
    )
    monkeypatch.setattr(contents, "_is_brought", fetch_while_another_process_adds)
    contents.fill(store)
    assert dropped == ["c"], "it is the one that the index does not have any more"
    assert known.brought() == {"b": {"1" * 32: "1" * 64}}
