"""What is in a bucket that outputs are written to."""

from __future__ import annotations

from support.buckets import Buckets

BUCKET = "results"
PART = 5 * 1024 * 1024
"""The smallest part that S3 takes, but for the last one."""


def content_of(store: Buckets, key: str) -> bytes | None:
    keys = {entry["Key"] for entry in store.client.list_objects_v2(Bucket=BUCKET).get("Contents", ())}
    return store.client.get_object(Bucket=BUCKET, Key=key)["Body"].read() if key in keys else None


def unfinished(store: Buckets) -> list[str]:
    return [upload["Key"] for upload in store.client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", ())]
