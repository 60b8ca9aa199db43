"""The form of a workflow with many inputs for files, as a browser fills it in: chosen, dropped, sent, shown."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from playwright.sync_api import Locator, Page, expect
from support.browsers import DROP
from support.served import script_of

from cwl_ui_plugin.cwl.plan import Parameter

FASTQ = "http://edamontology.org/format_1930"
FILES = {"type": "array", "items": "File"}
SAMPLE = {
    "type": "record",
    "name": "sample",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "forward", "type": "File"},
        {"name": "reverse", "type": ["null", "File"]},
    ],
}
LANES = {
    "type": "record",
    "name": "lanes",
    "fields": [{"name": "name", "type": "string"}, {"name": "r1", "type": FILES}, {"name": "r2", "type": FILES}],
}
TRIM = {"type": "record", "name": "trim", "fields": [{"name": "length", "type": "int"}]}
INPUTS = (
    Parameter(id="reads2", type=["null", FILES], label="Reads 2", format=FASTQ),
    Parameter(id="reads1", type=FILES, label="Reads 1", format=FASTQ, doc="## The forward reads\n\nOf *each* sample."),
    Parameter(id="bams", type=["null", "File", FILES], label="Alignments", secondary_files=({"pattern": ".bai"},)),
    Parameter(id="folders", type=["null", {"type": "array", "items": "Directory"}], label="Genomes"),
    Parameter(id="samples", type=["null", {"type": "array", "items": SAMPLE}], label="Samples"),
    Parameter(id="lanes", type=["null", {"type": "array", "items": LANES}], label="Lanes"),
    Parameter(id="trim", type=["null", TRIM], label="Trimming"),
    Parameter(id="reference", type=["null", "File"], label="Reference"),
    Parameter(id="title", type=["null", "string"], label="Title"),
)


class Form:
    """The page that starts a run of a workflow."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def box(self, label: str) -> Locator:
        return self.page.locator(f'[data-title="{label}"]')

    def rows(self, label: str) -> Locator:
        return self.box(label).get_by_role("option")

    def names(self, label: str) -> list[str]:
        return self.rows(label).locator(".name").all_text_contents()

    def press(self, label: str, name: str) -> None:
        self.box(label).get_by_role("button", name=name).first.click()

    def choose(self, label: str, button: str, paths: Any) -> None:
        with self.page.expect_file_chooser() as chooser:
            self.press(label, button)
        chooser.value.set_files(paths)

    def drop(self, label: str, *names: str) -> None:
        self.box(label).evaluate(DROP, [[name, f"content of {name}"] for name in names])

    def arrived(self, label: str, count: int) -> None:
        """Wait until a list has that many files, and all of them are on the server."""
        expect(self.rows(label)).to_have_count(count)
        expect(self.page.locator("[data-busy]")).to_have_count(0)

    def lines(self, label: str) -> list[str]:
        return self.box(label).locator("textarea").input_value().split()

    def job(self) -> dict[str, Any]:
        """Return the job that the form would send."""
        script = "(address) => import(address).then((job) => job.confText())"
        found: dict[str, Any] = json.loads(self.page.evaluate(script, script_of(self.page, "job.js")))["job"]
        return found


def opened(open_page: Callable[..., Page], add: Callable[..., Any], **options: str) -> Form:
    """Store a workflow with all of these inputs, and open its form."""
    dag_id = f"files-{uuid.uuid4().hex[:8]}"
    add(dag_id, inputs=INPUTS)
    page = open_page(f"/cwl/workflows/{dag_id}/run", **{"expected": "the server responded with a status of", **options})
    expect(page.get_by_role("button", name="Run", exact=True)).to_be_visible()
    return Form(page)


def content(location: str) -> str:
    return Path(unquote(location.removeprefix("file://"))).read_text()
