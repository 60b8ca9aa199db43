"""Numbers of an index that are none: what reads it says so, and what is written next can be read."""

from __future__ import annotations

import json

import pytest

from cwl_ui_plugin.library.errors import StoreAway
from cwl_ui_plugin.library.shared.index import Archive, Entry, Index

DIGEST = "0" * 32
ARCHIVE = Archive("0" * 64, 1)
NUMBER = 424242


def index() -> Index:
    return Index.new().having("a", Entry().with_version(DIGEST, ARCHIVE))


def places(text: str) -> dict[str, str]:
    """The text of an index with :data:`NUMBER` in each place of a number."""
    data = json.loads(text)
    found = {"serial": {**data, "serial": NUMBER}}
    entry = data["workflows"]["a"]
    for name, changed in {
        "numbers": {**entry, "numbers": {DIGEST: NUMBER}},
        "size": {**entry, "versions": {DIGEST: [ARCHIVE.sha256, NUMBER]}},
    }.items():
        found[name] = {**data, "workflows": {"a": changed}}
    found["removed"] = {**data, "removed": [["a", DIGEST, ARCHIVE.sha256, NUMBER, 1.0]]}
    return {name: json.dumps(one) for name, one in found.items()}


@pytest.mark.parametrize(
    "number", ["1e999", "NaN", "1.5", '"1"', "null", "[]", "9" * 4000, f"-{'9' * 4000}", "9" * 5000]
)
@pytest.mark.parametrize("place", ["serial", "numbers", "size", "removed"])
def test_a_number_that_is_none_is_refused_in_words(place: str, number: str) -> None:
    text = places(index().to_json())[place]
    assert Index.from_json(text.encode())
    with pytest.raises(StoreAway, match=r"index .* can't be read"):
        Index.from_json(text.replace(str(NUMBER), number).encode())
