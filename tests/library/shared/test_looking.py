"""What only a machine has when it meets a bucket: it is put there as a whole, or stays as it is."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cwl_ui_plugin.library.errors import StoreAway
from cwl_ui_plugin.library.shared import contents, looking
from cwl_ui_plugin.library.shared.index import Archive, Index
from cwl_ui_plugin.library.shared.known import Known

GOOD, BAD = "0" * 32, "1" * 32
ARCHIVE = Archive("0" * 64, 1)


@pytest.fixture
def store(tmp_path: Path) -> Any:
    """The store of a machine with two versions that an earlier index of its bucket does not have any more."""
    known = Known(tmp_path)
    for digest, told in (
        (GOOD, {"main": "m", "filename": "f", "uploaded_by": "u", "uploaded_at": "t"}),
        (BAD, {"a": 1}),
    ):
        folder = tmp_path / "workflows/a/versions" / digest
        folder.mkdir(parents=True)
        (folder / "version.json").write_text(json.dumps(told))
        known.bring("a", digest, ARCHIVE.sha256)
    index = Index.new()
    known.see(Index(index.id, 5, written=index.written), "later")
    bucket = SimpleNamespace(etag=lambda: "earlier", index=lambda: (Index(index.id, 4, written="0"), "earlier"))
    return SimpleNamespace(root=tmp_path, workflows=tmp_path / "workflows", known=known, bucket=bucket)


def test_an_archive_that_can_not_be_put_keeps_the_index_as_it_is(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_what: object) -> Archive:
        raise StoreAway("The bucket of workflows has no room.")

    monkeypatch.setattr(contents, "put_version", refuse)
    monkeypatch.setattr(looking, "change", lambda *_what: pytest.fail("changed"))
    with pytest.raises(StoreAway, match="no room"):
        looking.look(store, may_join=True)
    assert store.known.brought() == {}, "nobody removes it for not being in the bucket"
    assert store.known.seen().index.serial == 5


def test_what_nobody_can_read_is_left_where_it_is(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "put_version", lambda *_what: ARCHIVE)
    monkeypatch.setattr(contents, "put_choices", lambda *_what: None)
    monkeypatch.setattr(contents, "put_others", lambda *_what: None)
    monkeypatch.setattr(looking, "change", lambda _store, made: made(Index.new()))
    found = looking.look(store, may_join=True)
    assert list(found.entries["a"].versions) == [GOOD]
    assert store.known.brought() == {"a": {GOOD: ARCHIVE.sha256}}, "else the other is removed with the next round"
