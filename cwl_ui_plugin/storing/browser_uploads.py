"""Uploads that browsers send to S3 part by part, by addresses that are signed for one part each, or through the server.

Each function but :func:`signed_part` is asked of a store that was opened; all of them within
``fetching.quick_answers.answered``. What they raise is what s3fs raises, or an error of ``fetching.errors``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from cwl_ui_plugin.fetching.errors import Away, OtherContent
from cwl_ui_plugin.fetching.quick_answers import kept
from cwl_ui_plugin.fetching.storage_errors import status_of
from cwl_ui_plugin.fetching.storage_roots import StorageAddress, StorageRoot, shown

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

SIGNED_SECONDS = 900
"""How long a signed address is good for."""
_DELETED_AT_ONCE = 1000
_THERE, _NOT_KNOWN = 412, 501


class Part(NamedTuple):
    """A part that has arrived."""

    size: int
    etag: str


@dataclass(frozen=True)
class Upload:
    """An upload on its way; ``id`` is S3's own."""

    address: StorageAddress
    id: str

    @property
    def place(self) -> dict[str, str]:
        """What calls of S3 name it by."""
        return {**_place(self.address), "UploadId": self.id}


def begin(system: AbstractFileSystem, address: StorageAddress) -> Upload | None:
    """Begin an upload; None where there is such an object already."""
    if _found(system, address) is not None:
        return None
    return Upload(address, str(system.call_s3("create_multipart_upload", **_place(address))["UploadId"]))


def arrived(system: AbstractFileSystem, upload: Upload) -> dict[int, Part] | None:
    """Return the parts that have arrived, by their numbers; None where the store knows no such upload."""
    found: dict[int, Part] = {}
    following: dict[str, int] = {}
    while True:
        try:
            page = system.call_s3("list_parts", **upload.place, **following)
        except FileNotFoundError:
            return None
        parts = page.get("Parts") or ()
        found |= {int(part["PartNumber"]): Part(int(part["Size"]), str(part["ETag"])) for part in parts}
        if not page.get("IsTruncated") or not parts:
            return found
        following = {"PartNumberMarker": int(page.get("NextPartNumberMarker") or parts[-1]["PartNumber"])}


def put_part(system: AbstractFileSystem, upload: Upload, number: int, content: bytes) -> None:
    """Pass a part on."""
    system.call_s3("upload_part", **upload.place, PartNumber=number, Body=content)


def complete(system: AbstractFileSystem, upload: Upload, sizes: Sequence[int]) -> list[int] | None:
    """Make an upload an object, if all of its parts have arrived with these sizes; else return those that have not.

    Return None where there is such an object already, of another upload; it stays.

    Raises:
        Away: what the store has then is not that.

    """
    size, parts = sum(sizes), arrived(system, upload)
    if parts is not None:
        wrong = [number for number, part in enumerate(sizes, start=1) if parts.get(number, Part(-1, "")).size != part]
        if wrong:
            return wrong
        listed = [{"PartNumber": number, "ETag": parts[number].etag} for number in range(1, len(sizes) + 1)]
        if not _completed(system, upload, listed) and arrived(system, upload) is not None:
            return None
    if _found(system, upload.address) != size:
        raise Away(f"What the store has as {shown(upload.address.url)} is not what was sent.")
    return []


def _completed(system: AbstractFileSystem, upload: Upload, parts: list[dict[str, object]]) -> bool:
    """Make parts an object; return False where there is one, be it by a request whose answer was lost."""
    if _found(system, upload.address) is not None:
        return False
    call = partial(system.call_s3, "complete_multipart_upload", **upload.place, MultipartUpload={"Parts": parts})
    with suppress(FileNotFoundError):  # completed meanwhile; if not, it is not found next
        try:
            call(IfNoneMatch="*")
        except OSError as error:
            if status_of(error) == _THERE:
                return False
            if status_of(error) != _NOT_KNOWN:
                raise
            call()  # the store has no such condition
    return True


def is_there(system: AbstractFileSystem, address: StorageAddress) -> bool:
    """Whether there is such an object."""
    return _found(system, address) is not None


def abort(system: AbstractFileSystem, upload: Upload) -> None:
    """Give an upload up, with what has arrived of it."""
    with suppress(FileNotFoundError):
        system.call_s3("abort_multipart_upload", **upload.place)


def remove_below(system: AbstractFileSystem, folder: StorageAddress) -> None:
    """Remove all objects below a key."""
    prefix = f"{folder.key}/"
    while found := system.call_s3(
        "list_objects_v2", Bucket=folder.root.bucket, Prefix=prefix, MaxKeys=_DELETED_AT_ONCE
    ).get("Contents"):
        for entry in found:
            system.call_s3("delete_object", Bucket=folder.root.bucket, Key=entry["Key"])


def signed_part(upload: Upload, number: int, size: int, origin: str) -> str:
    """Return an address by which a browser sends one part of exactly so many bytes, within :data:`SIGNED_SECONDS`.

    Raises:
        OtherContent: the addresses of the bucket do not begin with ``origin``.

    """
    endpoint, style = _endpoint(upload.address.root, origin)
    wanted = {**upload.place, "PartNumber": number, "ContentLength": size}
    root = upload.address.root
    client = kept(root, f"{style} {endpoint}", lambda: _client(root, endpoint, style))
    url: str = client.generate_presigned_url("upload_part", Params=wanted, ExpiresIn=SIGNED_SECONDS, HttpMethod="PUT")
    if not url.startswith(f"{origin}/"):
        raise OtherContent("Addresses of the bucket for uploads do not begin with [cwl] uploads_origin.")
    return url


def _client(root: StorageRoot, endpoint: str, style: str) -> Any:
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook
    from botocore.config import Config

    config = Config(
        signature_version="s3v4", s3={"addressing_style": style}, request_checksum_calculation="when_required"
    )
    return S3Hook(aws_conn_id=root.connection).get_session().client("s3", endpoint_url=endpoint, config=config)


def _endpoint(root: StorageRoot, origin: str) -> tuple[str, str]:
    """Return by which endpoint, and with the bucket in the name of the host or in the path, addresses begin so.

    A store at https://minio.example.org may have a bucket that is called minio.
    """
    parts = urlsplit(origin)
    if parts.netloc.startswith(f"{root.bucket}.") and parts.netloc != kept(root, "host", partial(_own_host, root)):
        return f"{parts.scheme}://{parts.netloc.removeprefix(f'{root.bucket}.')}", "virtual"
    return origin, "path"


def _own_host(root: StorageRoot) -> str | None:
    """Return the host by which the Connection of a place reaches the store, as far as it names one."""
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

    endpoint = S3Hook(aws_conn_id=root.connection).conn_config.get_service_endpoint_url("s3")
    return urlsplit(endpoint).netloc.lower() if endpoint else None


def _found(system: AbstractFileSystem, address: StorageAddress) -> int | None:
    """Return how many bytes an object has; None where there is none."""
    try:
        answer: Mapping[str, Any] = system.call_s3("head_object", **_place(address))
    except FileNotFoundError:
        return None
    return int(answer.get("ContentLength") or 0)


def _place(address: StorageAddress) -> dict[str, str]:
    return {"Bucket": address.root.bucket, "Key": address.key}


def sizes_of(size: int, part_size: int) -> Iterator[int]:
    """Yield the sizes of parts; an empty file has one of them, too."""
    yield min(size, part_size)
    for start in range(part_size, size, part_size):
        yield min(size - start, part_size)
