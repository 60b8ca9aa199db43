"""One S3 server for all tests of staging."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.buckets import Buckets, buckets
from support.staged import machines as machines


@pytest.fixture(scope="session")
def buckets_server() -> Iterator[Buckets]:
    with buckets() as running:
        yield running
