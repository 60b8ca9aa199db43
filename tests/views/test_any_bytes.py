"""Pages of files whose names and contents are no Unicode: they are shown, with another character for what is none."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest


def archive_with(name: str) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        archive.addfile(tarfile.TarInfo(name))
    return made.getvalue()


@pytest.fixture
def folder(workflow: str, run_id: str, folders: Path, airflow: Any) -> Path:
    made = folders / "outputs" / workflow / run_id
    (made / "plots").mkdir(parents=True)
    value = {"said": {"class": "Directory", "location": (made / "plots").as_uri(), "basename": "plots"}}
    airflow.push(workflow, run_id, "CWLJobGatherer", "return_value", value)
    airflow.set_run(workflow, run_id, "success")
    return made / "plots"


@pytest.mark.parametrize(
    ("name", "content"), [("x.json", b'{"name": "\\ud800"}'), ("x.tar", archive_with("name\udcff.txt"))]
)
@pytest.mark.parametrize("headers", [{}, {"X-Requested-With": "XMLHttpRequest"}])
def test_a_preview(
    browser: Callable[..., Any],
    workflow: str,
    run_id: str,
    folder: Path,
    name: str,
    content: bytes,
    headers: dict[str, str],
) -> None:
    (folder / name).write_bytes(content)
    query = urlencode({"dag_id": workflow, "run_id": run_id, "path": f"plots/{name}"})
    answer = browser("viewer").get(f"/cwl/run/preview?{query}", headers=headers)
    assert (answer.status_code, "name" in answer.text) == (200, True)


@pytest.mark.parametrize(("page", "seen"), [("run/outputs", "strange"), ("run/pictures", "other.png")])
def test_a_name(browser: Callable[..., Any], workflow: str, run_id: str, folder: Path, page: str, seen: str) -> None:
    Path(os.fsdecode(os.fsencode(folder) + b"/strange\xff.png")).write_text("x")
    (folder / "other.png").write_text("x")
    query = urlencode({"dag_id": workflow, "run_id": run_id, "path": "plots"})
    answer = browser("viewer").get(f"/cwl/{page}?{query}")
    assert (answer.status_code, seen in answer.text) == (200, True)
