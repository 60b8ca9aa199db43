"""Changing the index of a bucket: by who has read the one that is there, on one machine at a time.

The store sees to that by a condition (``If-Match``), where it knows such; and so does the lock of Airflow's database.
Manifests are there before an index by which somebody may name them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from cwl_ui_plugin.library.errors import StoreAway
from cwl_ui_plugin.library.shared import contents
from cwl_ui_plugin.library.shared.database_lock import changing_workflows
from cwl_ui_plugin.library.shared.index import Index
from cwl_ui_plugin.library.shared.objects import OtherIndexError

if TYPE_CHECKING:
    from cwl_ui_plugin.library.shared.copies import Copies

TRIES = 20
LOST = (
    "The bucket of workflows ([cwl] workflows_storage) has no index.json any more, which it had. Restore it; or, to "
    "have this machine put all workflows that it has into the bucket, remove the folder .shared from [cwl] "
    "workflows_folder and restart Airflow."
)


def change(store: Copies, next_index: Callable[[Index], Index | None]) -> Index | None:
    """Replace the index by what ``next_index`` makes of it; return that, or None where it made nothing.

    ``next_index`` is called again where another machine was faster.

    Raises:
        StoreAway: the bucket does not take it; if it did all the same, which nobody can tell, the next look shows it.

    """
    with changing_workflows():
        made: Index | None = None
        for _try in range(TRIES):
            found = store.bucket.index(is_wanted=True)
            if found is None and store.known.seen():
                raise StoreAway(LOST)
            index, etag = found or (Index.new(), None)
            if etag:
                store.known.see(index, etag)
            if made is not None and index.written == made.written:  # by a request whose answer was lost
                return made
            made = next_index(index)
            if made is None:
                return None
            contents.put_manifest(store.bucket, made.manifest)
            if (told := _put(store, made, etag)) is not None:
                store.known.see(made, told)
                return made
    raise StoreAway("Other machines change workflows all the time; try again in a minute.")


def _put(store: Copies, made: Index, etag: str | None) -> str | None:
    """Write an index; return its ETag, None where another one was there first, or may have been."""
    try:
        return store.bucket.put_index(made, etag)
    except OtherIndexError:
        return None
    except StoreAway:
        found = store.bucket.index(is_wanted=True)
        if found and found[0].written == made.written:
            return found[1]
        raise
