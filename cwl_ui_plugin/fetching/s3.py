"""S3 beneath s3fs, which lists all before it returns, and reads an answer to its end, however much comes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from cwl_ui_plugin.fetching.errors import Away, FetchError
from cwl_ui_plugin.fetching.storage_roots import shown
from cwl_ui_plugin.fetching.stored_objects import StoredObject

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

CHUNK_BYTES = 8 * 1024 * 1024
"""What is asked of a store at a time."""
_TRIES = 3
"""How often a part is asked for whose answer breaks off; s3fs asks again itself where no answer begins."""


def keys(system: AbstractFileSystem, bucket: str, prefix: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield keys as they are, with what is told of them, page by page."""
    following: dict[str, str] = {}
    while True:
        page = system.call_s3("list_objects_v2", Bucket=bucket, Prefix=prefix, MaxKeys=1000, **following)
        for entry in page.get("Contents", ()):
            told = {name: entry.get(name) for name in ("ETag", "LastModified")}
            yield str(entry["Key"]), {"size": entry["Size"], **told}
        if not page.get("IsTruncated") or not page.get("NextContinuationToken"):
            return
        following = {"ContinuationToken": page["NextContinuationToken"]}


def folder_page(
    system: AbstractFileSystem, bucket: str, prefix: str, start: str, part: tuple[str, int]
) -> tuple[list[Mapping[str, Any]], str]:
    """Return what is directly below a prefix and begins with ``start``, and what asks for the next page.

    ``part`` is what asked for this page, empty for the first one, and how many entries it may have.
    """
    after, most = part
    following = {"ContinuationToken": after} if after else {}
    wanted = {"Bucket": bucket, "Prefix": prefix + start, "Delimiter": "/", "MaxKeys": most}
    page = system.call_s3("list_objects_v2", **wanted, **following)
    found = [*page.get("CommonPrefixes", ()), *page.get("Contents", ())]
    return found, str(page.get("NextContinuationToken") or "") if page.get("IsTruncated") else ""


def content(system: AbstractFileSystem, wanted: StoredObject) -> Iterator[bytes]:
    """Yield an object in parts, each of which is held in memory, and nothing beyond it.

    Raises:
        Away: the object is another by now, or the store gives something else than was asked for.
        Exception: what s3fs raises.

    """
    for start in range(0, wanted.size, CHUNK_BYTES):
        yield part(system, wanted, start, min(start + CHUNK_BYTES, wanted.size))


def part(system: AbstractFileSystem, wanted: StoredObject, start: int, end: int) -> bytes:
    """Return a part of an object; raise as :func:`content` does."""
    from fsspec.asyn import sync

    place, failed = {"Bucket": wanted.address.root.bucket, "Key": wanted.address.key}, 0
    while True:
        answer = system.call_s3("get_object", **place, Range=f"bytes={start}-{end - 1}")
        problem = _problem(answer, wanted, f"bytes {start}-{end - 1}/{wanted.size}")
        try:
            found: bytes = sync(system.loop, _read, answer["Body"], 0 if problem else end - start)
        except Exception:  # of whichever library carries the answer; nothing of the part has been handed on
            failed += 1
            if failed == _TRIES:
                raise
            continue
        if problem or len(found) < end - start:
            raise problem or wanted.changed()
        return found


def _problem(answer: Mapping[str, Any], wanted: StoredObject, expected: str) -> FetchError | None:
    if not answer.get("ContentRange"):
        return Away(f"The store of {shown(wanted.address.url)} does not give a part of an object that is asked for.")
    is_it = answer["ContentRange"] == expected and not wanted.is_other({"ETag": answer.get("ETag")})
    return None if is_it else wanted.changed()


async def _read(body: Any, size: int) -> bytes:
    """Return the first bytes of an answer, so many or all that there are; runs where s3fs does."""
    parts: list[bytes] = []
    try:
        while size and (part := await body.read(size)):
            parts.append(part)
            size -= len(part)
    finally:
        body.close()
    return b"".join(parts)
