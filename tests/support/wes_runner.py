"""A CWL runner as cwltest wants one, made of ``wes-client``, which others wrote: it leaves outputs on the server.

    python tests/support/wes_runner.py [--outdir DIR] [--quiet] DOCUMENT [JOB]

The service is named by ``WES_URL``, such as ``http://localhost:8080``, the token by ``WES_TOKEN``, the client by
``WES_CLIENT``. ``wes-client`` sends no header with a run, but what stands in the address: the token as a password.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx
from cwl_ui_client.closure import closure
from cwl_ui_client.uploading import local_name


def main() -> int:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--outdir", type=Path, default=Path())
    arguments.add_argument("--quiet", action="store_true")
    arguments.add_argument("document", type=local)
    arguments.add_argument("job", type=local, nargs="?")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        job = given.job or Path(folder) / "job.json"
        if given.job is None:
            job.write_text("{}")
        done = run_client(given.document.resolve(), job.resolve())
    sys.stderr.write(done.stderr)
    if done.returncode == 0:
        json.dump(fetched(json.loads(done.stdout), given.outdir.resolve()), sys.stdout, indent=2)
    return done.returncode


def local(name: str) -> Path:
    """Return the file that cwltest names by a ``file://`` URI."""
    return Path(local_name(name))


def run_client(document: Path, job: Path) -> subprocess.CompletedProcess[str]:
    """Run a workflow, with the files that it refers to as attachments."""
    proto, _, host = os.environ["WES_URL"].partition("://")
    command = [os.environ["WES_CLIENT"], "--proto", proto, "--host", f"token:{os.environ['WES_TOKEN']}@{host}"]
    command += ["--auth", f"Authorization: Bearer {os.environ['WES_TOKEN']}", "--run"]
    others = [path.as_uri() for path in closure(document) if path != document]
    command += ["--attachments", ",".join(map(unquote, others))] if others else []
    return subprocess.run([*command, str(document), str(job)], capture_output=True, text=True, check=False)


def fetched(value: Any, folder: Path) -> Any:
    """Return outputs with their files fetched into a folder."""
    if isinstance(value, list):
        return [fetched(item, folder) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("class") == "File":
        folder.mkdir(parents=True, exist_ok=True)
        place = folder / value["basename"]
        place.write_bytes(content(value["location"]))
        others = fetched(value.get("secondaryFiles"), folder)
        return {**value, "location": place.as_uri(), **({"secondaryFiles": others} if others else {})}
    if value.get("class") == "Directory":
        place = folder / value["basename"]
        place.mkdir(parents=True, exist_ok=True)
        return {**value, "location": place.as_uri(), "listing": fetched(value.get("listing", []), place)}
    return {key: fetched(item, folder) for key, item in value.items()}


def content(location: str) -> bytes:
    """Return what is at an address of the service, or what a literal of the outputs says."""
    if urlsplit(location).scheme not in ("http", "https"):
        return Path(urlsplit(location).path).read_bytes()
    answer = httpx.get(location, headers={"Authorization": f"Bearer {os.environ['WES_TOKEN']}"}, timeout=60)
    answer.raise_for_status()
    return answer.content


if __name__ == "__main__":
    sys.exit(main())
