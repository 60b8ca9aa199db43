"""A real OpenStack Swift on this machine, by its S3 API: Debian's, on free loopback ports; see ``swift_server``."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.buckets import LOGIN, SECRET, Buckets, client_of

PYTHON = "/usr/bin/python3"
"""The system's: Swift is a package of it."""
ACCOUNT = "tests"


class SwiftBuckets(Buckets):
    """Swift takes a list of what is to be removed only with a Content-MD5, which botocore sends no more."""

    def clear(self, bucket: str) -> None:
        for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            for entry in page.get("Contents", ()):
                self.client.delete_object(Bucket=bucket, Key=entry["Key"])


def has_swift() -> bool:
    """Whether Swift is installed; it must be with CI=true."""
    command = [PYTHON, "-c", "import eventlet, swift.proxy.server"]
    found = Path(PYTHON).exists() and subprocess.run(command, capture_output=True, check=False).returncode == 0
    assert found or os.environ.get("CI") != "true", "python3-swift is not installed, and CI needs it"
    return found


@contextmanager
def swift(folder: Path) -> Iterator[Buckets]:
    """Run Swift until the block ends; ``asked`` of what is yielded stays empty."""
    if not has_swift():
        pytest.skip("there is no python3-swift; see tests/system-packages.sh")
    script = str(Path(__file__).with_name("swift_server.py"))
    command = [PYTHON, "-I", script, str(folder / "swift"), LOGIN, SECRET]
    with (folder / "swift.log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)
    try:
        assert process.stdout is not None
        port = process.stdout.readline().strip().decode()
        assert port, (folder / "swift.log").read_text()
        endpoint, login = f"http://127.0.0.1:{port}", f"{ACCOUNT}:{LOGIN}"
        yield SwiftBuckets(endpoint, client_of(endpoint, login), login=login)
    finally:
        process.kill()
        process.wait()
