"""Writing into S3 beneath s3fs, whose own way can neither tell the store a checksum nor leave what is there already."""

from __future__ import annotations

import base64
import hashlib
import logging
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from cwl_ui_plugin.fetching import s3
from cwl_ui_plugin.fetching.checksums import Hashing
from cwl_ui_plugin.fetching.errors import Away
from cwl_ui_plugin.fetching.storage_errors import status_of
from cwl_ui_plugin.fetching.storage_roots import StorageAddress, shown
from cwl_ui_plugin.fetching.stored_objects import StoredObject
from cwl_ui_plugin.storing.sources import Source

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

log = logging.getLogger(__name__)
PART_BYTES = 8 * 1024 * 1024
MAX_PARTS = 10_000
COPIED_BYTES = 512 * 1024 * 1024
"""What a store copies at a time: it takes up to 5 GiB, but is silent as long as that takes."""
METADATA = "cwl-"
"""What the names of metadata with checksums begin with."""
PAUSES = (1.0, 4.0, 15.0)
"""Seconds before a busy store is asked again; s3fs has asked five times within two seconds by then."""
_TOO_MANY_REQUESTS, _SERVER_ERROR, _NO_ROOM = 429, 500, 507
Upload = dict[str, str]
_MD5 = re.compile(r"[0-9a-f]{32}(-[0-9]+)?")


def put(system: AbstractFileSystem, source: Source, address: StorageAddress) -> Iterator[StoredObject | None]:
    """Put an object, part by part; yield None for each, and at last what the store tells of it.

    Raises:
        FetchError: the file is not what its checksums say, or what is there then is not the file.
        Exception: what s3fs raises.

    """
    place = {"Bucket": address.root.bucket, "Key": address.key}
    if (stored := _same(system, place, source, address)) is not None:
        yield stored
        return
    part_size = max(PART_BYTES, -(-source.size // MAX_PARTS))
    yield from _in_parts(system, place, source, part_size) if source.size > part_size else _whole(system, place, source)
    stored = _same(system, place, source, address)
    if stored is None:
        raise _other(source)
    yield stored


def touch(system: AbstractFileSystem, address: StorageAddress) -> Iterator[None]:
    """Have a store write an object anew as it is, part by part; yield None for each.

    Raises:
        Exception: what s3fs raises.

    """
    place = {"Bucket": address.root.bucket, "Key": address.key}
    found = call(system, "head_object", **place)
    size, kept = int(found["ContentLength"]), found.get("Metadata") or {}
    if size <= COPIED_BYTES:
        call(system, "copy_object", **place, CopySource=place, Metadata=kept, MetadataDirective="REPLACE")
        yield None
        return
    part_size, parts = max(COPIED_BYTES, -(-size // MAX_PARTS)), list[dict[str, object]]()
    with _upload(system, place, kept) as upload:
        for number, start in enumerate(range(0, size, part_size), start=1):
            part = {"PartNumber": number, "CopySourceRange": f"bytes={start}-{min(start + part_size, size) - 1}"}
            told = call(system, "upload_part_copy", **upload, **part, CopySource=place)
            parts.append({"PartNumber": number, "ETag": told["CopyPartResult"]["ETag"]})
            yield None
        with suppress(FileNotFoundError):  # done by a request whose answer was lost
            call(system, "complete_multipart_upload", **upload, MultipartUpload={"Parts": parts})
    yield None


def give_up_all(system: AbstractFileSystem, address: StorageAddress) -> Iterator[str]:
    """Give up the unfinished uploads of keys that begin with an address's; yield their keys."""
    bucket, following = address.root.bucket, dict[str, str]()
    while True:
        page = call(system, "list_multipart_uploads", Bucket=bucket, Prefix=address.key, **following)
        for upload in page.get("Uploads") or ():
            if str(upload["Key"]).startswith(address.key):
                call(system, "abort_multipart_upload", Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
                yield str(upload["Key"])
        if not page.get("IsTruncated") or not page.get("NextKeyMarker"):
            return
        following = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page.get("NextUploadIdMarker", "")}


def call(system: AbstractFileSystem, method: str, **options: Any) -> Mapping[str, Any]:
    """Ask a store, again after pauses while it is busy."""
    for pause in PAUSES:
        try:
            return _answer(system, method, options)
        except Exception as error:
            status = status_of(error) or 0
            if (status < _SERVER_ERROR and status != _TOO_MANY_REQUESTS) or status == _NO_ROOM:
                raise
            log.info("The store is busy (HTTP %s); it is asked again in %g seconds", status, pause)
        time.sleep(pause)
    return _answer(system, method, options)


def _answer(system: AbstractFileSystem, method: str, options: Mapping[str, Any]) -> Mapping[str, Any]:
    answer: Mapping[str, Any] = system.call_s3(method, **options)
    return answer


def _same(
    system: AbstractFileSystem, place: Mapping[str, str], source: Source, address: StorageAddress
) -> StoredObject | None:
    """Return what is at a key, if that was put there as the same file."""
    try:
        found = call(system, "head_object", **place)
    except FileNotFoundError:
        return None
    kept = found.get("Metadata") or {}
    is_same = all(kept.get(f"{METADATA}{name}") == digest for name, digest in source.checksums.items())
    if not is_same or not source.checksums or found.get("ContentLength") != source.size:
        return None
    return StoredObject.of(address, {**found, "size": source.size})


def _whole(system: AbstractFileSystem, place: Mapping[str, str], source: Source) -> Iterator[None]:
    content, hashing = b"".join(source.parts(PART_BYTES)), Hashing(source.checksums)
    hashing.update(content)
    hashing.check(source.what)
    md5 = _md5(content)
    answer = call(system, "put_object", **place, Body=content, ContentMD5=_told(md5), Metadata=_metadata(source))
    if _is_other_md5(answer, md5.hex()):
        raise _other(source)
    yield None


def _in_parts(system: AbstractFileSystem, place: Mapping[str, str], source: Source, size: int) -> Iterator[None]:
    with _upload(system, place, _metadata(source)) as upload:
        hashing, sums, parts = Hashing(source.checksums), list[bytes](), list[dict[str, object]]()
        for number, content in enumerate(source.parts(size), start=1):
            hashing.update(content)
            sums.append(_md5(content))
            answer = call(system, "upload_part", **upload, PartNumber=number, Body=content, ContentMD5=_told(sums[-1]))
            parts.append({"PartNumber": number, "ETag": answer["ETag"]})
            yield None
        hashing.check(source.what)
        _complete(system, upload, source, sums, parts)
    yield None


@contextmanager
def _upload(system: AbstractFileSystem, place: Mapping[str, str], metadata: Mapping[str, str]) -> Iterator[Upload]:
    """Begin an upload in parts, which is given up if what is done with it fails."""
    told = call(system, "create_multipart_upload", **place, Metadata=metadata)
    upload = {**place, "UploadId": str(told["UploadId"])}
    try:
        yield upload
    except BaseException:  # also where whoever waits has gone
        _give_up(system, upload)
        raise


def _complete(
    system: AbstractFileSystem,
    upload: Mapping[str, str],
    source: Source,
    sums: list[bytes],
    parts: list[dict[str, object]],
) -> None:
    try:
        answer = call(system, "complete_multipart_upload", **upload, MultipartUpload={"Parts": parts})
    except FileNotFoundError:  # done by a request whose answer was lost; if not, the store is asked next
        return
    if _is_other_md5(answer, f"{_md5(b''.join(sums)).hex()}-{len(sums)}"):
        raise _other(source)


def _give_up(system: AbstractFileSystem, upload: Mapping[str, str]) -> None:
    try:
        system.call_s3("abort_multipart_upload", **upload)
    except Exception as error:  # the store may be what has failed; the next try finds it
        log.info("An upload could not be given up: %s", type(error).__name__)


def _is_other_md5(answer: Mapping[str, Any], expected: str) -> bool:
    """Whether a store's ETag is the MD5 of something else; it is none where objects are encrypted with keys."""
    etag = str(answer.get("ETag") or "").strip('"')
    has_key = str(answer.get("ServerSideEncryption") or "").startswith("aws:") or answer.get("SSECustomerAlgorithm")
    return not has_key and _MD5.fullmatch(etag) is not None and etag != expected


def _other(source: Source) -> Away:
    return Away(f"{source.what} can't be written now: what the store has there is not what was sent.")


def _metadata(source: Source) -> dict[str, str]:
    return {f"{METADATA}{name}": digest for name, digest in source.checksums.items()}


def _md5(content: bytes) -> bytes:
    return hashlib.md5(content, usedforsecurity=False).digest()


def _told(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


def names(system: AbstractFileSystem, folder: StorageAddress) -> Iterator[str]:
    """Yield what lies directly below a key that ends with a slash."""
    following: dict[str, str] = {}
    place = {"Bucket": folder.root.bucket, "Prefix": folder.key, "Delimiter": "/"}
    while True:
        page = call(system, "list_objects_v2", **place, **following)
        found = [entry["Key"] for entry in page.get("Contents") or ()]
        found += [entry["Prefix"] for entry in page.get("CommonPrefixes") or ()]
        for key in found:
            if name := str(key)[len(folder.key) :].rstrip("/"):
                yield name
        if not page.get("IsTruncated") or not page.get("NextContinuationToken"):
            return
        following = {"ContinuationToken": page["NextContinuationToken"]}


def keys_of(system: AbstractFileSystem, address: StorageAddress) -> Iterator[str]:
    """Yield a key, whether there is such an object or not, and all that are below it."""
    yield address.key
    for key, _details in s3.keys(system, address.root.bucket, f"{address.key.rstrip('/')}/"):
        yield key


def is_there(system: AbstractFileSystem, address: StorageAddress) -> bool:
    """Whether there is an object."""
    try:
        call(system, "head_object", Bucket=address.root.bucket, Key=address.key)
    except FileNotFoundError:
        return False
    return True


def remove(system: AbstractFileSystem, address: StorageAddress, keys: list[str]) -> None:
    """Remove objects of the bucket of an address; none of them need be there.

    Raises:
        Away: the store keeps one.

    """
    bucket = address.root.bucket
    for key in keys:
        if not key.isprintable():  # no list in XML can name it
            call(system, "delete_object", Bucket=bucket, Key=key)
    listed = [{"Key": key} for key in keys if key.isprintable()]
    answer = call(system, "delete_objects", Bucket=bucket, Delete={"Objects": listed, "Quiet": True}) if listed else {}
    for kept in answer.get("Errors") or ():
        code = str(kept.get("Code"))
        raise Away(f"{shown(address.url)} can't be removed now: {shown(code, 60)}.")
