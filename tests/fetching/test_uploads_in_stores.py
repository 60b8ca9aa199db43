"""What users have uploaded to a store is read by those alone to whom it is granted."""

from __future__ import annotations

import pytest

from cwl_ui_plugin.fetching.errors import HostNotAllowed
from cwl_ui_plugin.fetching.storage_roots import UPLOADS_OPTION, StorageRoot, StorageRules

MINE, THEIRS = "6f1c1c1e-0000-4000-8000-000000000001", "6f1c1c1e-0000-4000-8000-000000000002"
UPLOADS = StorageRoot.parse("s3://up@b/sent/here", UPLOADS_OPTION)
GRANTED = [StorageRoot.parse(f"s3://up@b/sent/here/{MINE}", UPLOADS_OPTION)]
RULES = StorageRules.of(["s3://all@b", "s3://other@c"], [UPLOADS], GRANTED)


@pytest.mark.parametrize("rules", [RULES, StorageRules.of([], [UPLOADS], GRANTED)])
def test_ones_own_are_read_with_the_connection_for_uploads(rules: StorageRules) -> None:
    for location, is_folder in ((f"s3://b/sent/here/{MINE}/x", False), (f"s3://b/sent/here/{MINE}/d", True)):
        assert rules.address(location, is_folder=is_folder).root.connection == "up"


@pytest.mark.parametrize(
    ("location", "is_folder"),
    [
        (f"s3://b/sent/here/{THEIRS}/x", False),
        (f"S3://b/sent/here/{THEIRS}/x", False),
        (f"s3a://b/sent/here/{THEIRS}/x", False),
        (f"s3://b/sent/here/{THEIRS}", True),
        (f"s3://b/sent/here/{MINE}x/y", False),
        ("s3://b/sent/here/x", False),
        ("s3://b/sent/here", True),
        ("s3://b/sent/", True),
        ("s3://b/", True),
        ("s3://b", True),
    ],
)
def test_nothing_that_others_sent_is_read_nor_a_folder_that_holds_it(location: str, is_folder: bool) -> None:
    with pytest.raises(HostNotAllowed):
        RULES.address(location, is_folder=is_folder)


@pytest.mark.parametrize(
    ("location", "is_folder"),
    [("s3://b/sent/here.txt", False), ("s3://b/sent/hereafter/", True), ("s3://b/x", False), ("s3://c/", True)],
)
def test_what_lies_beside_is_read_as_before(location: str, is_folder: bool) -> None:
    assert RULES.address(location, is_folder=is_folder).root.connection in {"all", "other"}


def test_looking_around_hides_them() -> None:
    folder = RULES.address("s3://b/sent/", is_folder=True, whole=False)
    assert folder.root.connection == "all"
    assert RULES.hides(folder.below("sent/here/"))
    assert RULES.hides(folder.below(f"sent/here/{THEIRS}/"))
    assert not RULES.hides(folder.below("sent/here.txt"))
    for location in ("s3://b/sent/here/", f"s3://b/sent/here/{THEIRS}/"):
        with pytest.raises(HostNotAllowed):
            RULES.address(location, is_folder=True, whole=False)


def test_the_folder_of_an_address_is_told() -> None:
    assert UPLOADS.folder_in(f"s3://b/sent/here/{THEIRS}/x") == THEIRS
    for location in ("s3://b/sent/here/", "s3://c/sent/here/x/y", "s3://b/x", "/data/x", "file:///x"):
        assert UPLOADS.folder_in(location) is None
