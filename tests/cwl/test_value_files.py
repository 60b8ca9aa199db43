"""Values in files: long lists are read part by part, and only as they were written."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any, BinaryIO
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cwl_ui_plugin.cwl import value_files
from cwl_ui_plugin.cwl.files import file_objects, handed_on, local_paths
from cwl_ui_plugin.cwl.readers import with_chosen_alone
from cwl_ui_plugin.cwl.value_files import DamagedError, LongList, TooLargeError, Written, has_long, texts_of, whole


def file(number: int) -> dict[str, Any]:
    return {"class": "File", "location": f"file:///made/{number}.txt", "basename": f"{number}.txt", "size": number}


class Stored:
    """A value in a file, and what was read of it."""

    def __init__(self, path: Path, value: object) -> None:
        self.path = path
        self.read = 0
        with path.open("w+b") as target:
            self.known = value_files.write(value, target, 1e9)

    def open(self) -> BinaryIO:
        stored = self

        class Counting(io.FileIO):
            def read(self, size: int | None = -1, /) -> bytes:  # type: ignore[override]
                found = super().read(size) or b""
                stored.read += len(found)
                return found

        return Counting(self.path)  # type: ignore[return-value]

    def value(self) -> Any:
        return value_files.read(self.open, self.known)


FILES = [file(number) for number in range(10_000)]


@pytest.fixture
def stored(tmp_path: Path) -> Stored:
    return Stored(tmp_path / "value", {"#main/files": [FILES, "success"], "#main/one": [file(1), "success"]})


def test_a_value_is_as_it_was(stored: Stored) -> None:
    value = stored.value()
    assert value["#main/one"] == [file(1), "success"]
    assert isinstance(value["#main/files"][0], LongList)
    assert (has_long(value), has_long(whole(value))) == (True, False)
    assert whole(value) == {"#main/files": [FILES, "success"], "#main/one": [file(1), "success"]}
    assert json.loads("".join(texts_of(value))) == whole(value)
    assert stored.path.stat().st_size == stored.known.size


LONG = st.lists(st.integers() | st.text() | st.none(), max_size=6)
VALUES = st.recursive(LONG | st.text(), lambda inner: st.dictionaries(st.text(), inner) | st.lists(inner, max_size=3))


@settings(deadline=None)  # a busy machine is no fault
@given(value=VALUES)
def test_any_value_is_as_it_was(value: object) -> None:
    target = io.BytesIO()
    with patch.multiple(value_files, LONG=3, _FIRST_ITEMS=2):
        known = value_files.write(value, target, 1e9)
    found = value_files.read(lambda: io.BytesIO(target.getvalue()), known)
    assert whole(found) == value
    assert json.loads("".join(texts_of(found))) == value


def test_some_items_cost_the_parts_that_they_are_in(stored: Stored) -> None:
    files = stored.value()["#main/files"][0]
    stored.read = 0
    assert (files[7_000], files[-1], len(files)) == (file(7_000), file(9_999), 10_000)
    assert files[7_000:7_010] == FILES[7_000:7_010]
    assert files[9_999:6_999:-500] == FILES[9_999:6_999:-500]
    with pytest.raises(IndexError):
        files[10_000]
    assert stored.read < stored.known.size * 2
    stored.read = 0
    value = with_chosen_alone(stored.value(), ["#main/files"], range(5_000, 5_100))["#main/files"]
    assert value == [[*[None] * 5_000, *FILES[5_000:5_100], *[None] * 4_900], "success"]
    assert stored.read < 2 * (value_files.PART_BYTES + stored.known.index_size)


def test_no_items_are_left_out_where_lists_do_not_tell_which_are_read(tmp_path: Path, stored: Stored) -> None:
    other = Stored(tmp_path / "other", {"x": [FILES[:300], "success"]}).value()
    values = {**stored.value(), **other}
    assert with_chosen_alone(values, ["#main/files", "x"], range(2)) == values
    assert with_chosen_alone(values, ["#main/files"], range(9_999, 10_001)) == values
    assert with_chosen_alone({"y": [FILES, "success"]}, ["y"], range(2)) == {"y": [FILES, "success"]}


def test_files_are_found_without_all_in_memory(stored: Stored) -> None:
    value = stored.value()
    assert sorted(path.name for path in local_paths(value)) == sorted(f"{n}.txt" for n in [*range(10_000), 1])
    assert list(handed_on(value["#main/files"][0])) == FILES
    assert sum(1 for _file in file_objects(value)) == 10_001
    stored.read = 0
    assert next(iter(handed_on(value["#main/files"][0]))) == file(0)
    assert stored.read < value_files.PART_BYTES


def test_only_parts_with_a_text_are_given(stored: Stored) -> None:
    files = stored.value()["#main/files"][0]
    (part,) = files.parts(["file:///made/7000.txt"])
    assert file(7_000) in part
    assert list(files.parts(["file:///made/7000"])) == []


def test_a_list_is_changed_when_it_is_read(stored: Stored) -> None:
    files = stored.value()["#main/files"][0]
    names = files.mapped(lambda item: item["basename"]).mapped(str.upper)
    assert (names[3], len(names), list(names)[-1]) == ("3.TXT", 10_000, "9999.TXT")


def test_lists_are_compared_without_reading_what_is_the_same(tmp_path: Path, stored: Stored) -> None:
    one, other = stored.value(), stored.value()
    stored.read = 0
    assert one["#main/files"] == other["#main/files"]
    assert stored.read == 0
    changed = Stored(tmp_path / "c", {"#main/files": [[*FILES[:-1], None], "success"]}).value()
    assert one["#main/files"][0] != changed["#main/files"][0]
    assert one["#main/files"][0] == FILES
    assert one["#main/files"][0] != FILES[1:]


def test_a_file_that_was_changed_is_not_read(stored: Stored) -> None:
    value, content = stored.value(), stored.path.read_bytes()
    stored.path.write_bytes(content.replace(b"/made/7000.txt", b"/else/7000.txt"))
    assert stored.value()["#main/files"][0][0] == file(0), "this part is as it was"
    with pytest.raises(DamagedError):
        value["#main/files"][0][7_000]
    with pytest.raises(DamagedError):
        whole(value)
    for other in (content[:-1], content + b"x", b"", content[:-2] + b"} "):
        stored.path.write_bytes(other)
        with pytest.raises(DamagedError):
            stored.value()


@pytest.mark.parametrize(
    "index",
    [
        {"value": None, "lists": [[[], [[1, -1, "0" * 64]]]]},
        {"value": None, "lists": [[[], [[1, 10**9, "0" * 64]]]]},
        {"value": None, "lists": [[[], [[True, 1, "0" * 64]]]]},
        {"value": None, "lists": [[["x"], []]]},
        {"value": {}, "lists": [[["x", "y"], []]]},
        {"value": {}},
        [],
        7,
    ],
)
def test_an_index_that_nobody_wrote_is_not_believed(index: object) -> None:
    import hashlib

    content = json.dumps(index).encode()
    digest = hashlib.sha256(content).hexdigest()
    known = Written(len(content), digest, len(content), digest)
    with pytest.raises(DamagedError):
        value_files.read(lambda: io.BytesIO(content), known)


def test_a_value_may_be_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    target = io.BytesIO()
    with pytest.raises(TooLargeError):
        value_files.write({"x": FILES}, target, 500_000)
    assert target.tell() <= 500_000
    monkeypatch.setattr(value_files, "MAX_INDEX", 1000)
    with pytest.raises(TooLargeError):
        value_files.write({"x": "y" * 1000}, io.BytesIO(), 1e9)


def test_no_part_is_much_larger_than_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(value_files, "MAX_PART", 10_000)
    items = ["x" * (9_000 if number % 100 == 99 else 1) for number in range(1_000)]
    target = io.BytesIO()
    known = value_files.write(items, target, 1e9)
    found = value_files.read(lambda: io.BytesIO(target.getvalue()), known)
    assert list(found) == items
    assert max(len(json.dumps(part)) for part in found.parts()) <= 10_000


@pytest.mark.parametrize(
    "told",
    [
        None,
        {},
        {"size": 1, "sha256": "../../etc/passwd", "index_size": 1, "index_sha256": "0" * 64},
        {"size": 1, "sha256": "0" * 64, "index_size": 2, "index_sha256": "0" * 64},
        {"size": -1, "sha256": "0" * 64, "index_size": -1, "index_sha256": "0" * 64},
        {"size": True, "sha256": "0" * 64, "index_size": True, "index_sha256": "0" * 64},
        {"size": 1, "sha256": "0" * 64, "index_size": 1, "index_sha256": "0" * 64, "path": "/etc/passwd"},
        {"size": 10**12, "sha256": "0" * 64, "index_size": 10**12, "index_sha256": "0" * 64},
    ],
)
def test_what_names_no_file_of_values_is_none(told: object) -> None:
    assert Written.of(told) is None


def test_what_names_one_is_json(stored: Stored) -> None:
    assert Written.of(json.loads(json.dumps(stored.known.as_json()))) == stored.known
