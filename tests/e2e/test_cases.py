"""Small inputs that went wrong once, through a real server beside plain cwltool; ``tests/cases`` has them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from beside_cwltool import Answer, Case, cases_in, shape_of
from support.airflow_server import Server

pytestmark = pytest.mark.e2e
CASES = Path(__file__).resolve().parents[1] / "cases"
NAMES = [case.folder.name for case in cases_in(CASES)]
ONLY_HERE = {
    "directories-of-a-scatter": {
        "d": {"quant": {"one.txt": "one\n"}, "quant_2": {"two.txt": "two\n"}, "quant_3": {"three.txt": "three\n"}}
    },
    "directories-of-two-steps": {
        "raw": {"fastqc": {"raw.txt": "1\n"}},
        "trimmed": {"fastqc_2": {"trimmed.txt": "2\n"}},
    },
    "file-and-directory": {"d": {"x": {"y": "2\n"}}, "f": {"x_2": "1\n"}},
}
"""What is right where cwltool merges what has one name, or says that a File is where a Directory is.

Outputs that a document has as a mapping come in the order of their names.
"""
CHOSEN = {"packed-without-main": "#water-bodies"}
"""The process that cwltool has to be told of."""


@pytest.fixture(scope="module")
def answers(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Answer]]:
    """All cases, run side by side: one after the other they would wait for the scheduler most of the time."""
    folder = tmp_path_factory.mktemp("cases")
    with ThreadPoolExecutor(4) as pool:
        running = {name: pool.submit(Case(CASES / name).here, server, folder / name) for name in NAMES}
        yield {name: answer.result() for name, answer in running.items()}


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ONLY_HERE])
def test_the_outputs_are_those_of_cwltool(answers: dict[str, Answer], tmp_path: Path, name: str) -> None:
    theirs = Case(CASES / name, CHOSEN.get(name, "")).by_cwltool(tmp_path)
    ours = answers[name]
    assert ours.exit_code == theirs.exit_code == 0, (ours.said, theirs.said)
    assert shape_of(ours.outputs) == shape_of(theirs.outputs)


@pytest.mark.parametrize("name", ONLY_HERE)
def test_everything_of_one_name_is_delivered_under_names_of_its_own(answers: dict[str, Answer], name: str) -> None:
    assert answers[name].exit_code == 0, answers[name].said
    assert {key: on_disk(value) for key, value in answers[name].outputs.items()} == ONLY_HERE[name]


def on_disk(value: Any) -> Any:
    """Return names and contents of delivered files, looked up where the output object says that they are."""
    if isinstance(value, list):
        return {name: content for item in value for name, content in on_disk(item).items()}
    return {value["basename"]: content_of(Path(value["path"]))}


def content_of(path: Path) -> Any:
    return {entry.name: content_of(entry) for entry in path.iterdir()} if path.is_dir() else path.read_text()


def test_a_label_is_shown_with_its_characters(answers: dict[str, Answer], client: httpx.Client) -> None:
    assert answers["escaped-emoji"].exit_code == 0
    listed = client.get("/cwl/api/v1/workflows", params={"search": "Variant calling", "limit": 500}).json()
    assert "Variant calling \U0001f9ec" in {workflow["label"] for workflow in listed["workflows"]}
