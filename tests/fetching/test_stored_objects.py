"""What tells that an object of a store was written anew."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from cwl_ui_plugin.fetching import s3
from cwl_ui_plugin.fetching.storage_roots import StorageAddress, StorageRoot
from cwl_ui_plugin.fetching.stored_objects import StoredObject

ADDRESS = StorageAddress(StorageRoot.parse("s3://bucket"), "d/a")


def test_a_store_without_etags_tells_by_the_moment_of_writing() -> None:
    moments = [datetime(2026, 1, day, tzinfo=timezone.utc) for day in (1, 1, 2)]

    class System:
        def call_s3(self, _call: str, **_options: Any) -> dict[str, Any]:
            return {"Contents": [{"Key": "d/a", "Size": 1, "LastModified": moments.pop(0)}]}

    first, same, other = (
        StoredObject.of(ADDRESS, details) for _time in range(3) for _key, details in s3.keys(System(), "bucket", "d/")
    )
    assert first.identity == same.identity != other.identity


def test_one_of_which_nothing_tells_is_always_another() -> None:
    first, second = (StoredObject.of(ADDRESS, {"size": 5}) for _time in range(2))
    assert first.identity != second.identity
    assert not first.is_other({"ETag": "x"})


def test_etags_are_compared_without_quotes_and_moments_in_one_form_only() -> None:
    found = StoredObject.of(ADDRESS, {"size": 5, "ETag": "a", "LastModified": 1.0})
    assert not found.is_other({"ETag": '"a"'})
    assert found.is_other({"ETag": '"b"'})
    moment = StoredObject.of(ADDRESS, {"size": -5, "LastModified": 1.0})
    assert moment.size == 0
    assert not moment.is_other({"LastModified": datetime(2026, 1, 1, tzinfo=timezone.utc)})
    assert moment.is_other({"LastModified": 2.0})
