"""Many files at once, in a real browser that sends them to the real REST API: chosen, dropped, ordered, paired."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from playwright.sync_api import Page, Route, expect
from support.browsers import DROP, barriers
from support.file_form import FASTQ, INPUTS, TRIM, Form, content, opened
from support.served import NARROW, fits, picture, serving_with_api, while_held

from cwl_ui_plugin.cwl.plan import Parameter

pytestmark = pytest.mark.e2e
UNREADABLE = """() => {
  const entry = { isFile: true, fullPath: "/a.fq", file: (_done, failed) => failed(new DOMException("It is gone.")) };
  DataTransferItem.prototype.webkitGetAsEntry = () => entry;
}"""


@pytest.fixture(scope="module")
def address(flask_app: Any) -> Iterator[str]:
    """The address of the pages, and of the REST API that they send files to."""
    with serving_with_api(flask_app) as found:
        yield found


@pytest.fixture
def form(open_page: Callable[..., Page], add: Callable[..., Any]) -> Form:
    return opened(open_page, add)


def lanes(samples: int) -> list[str]:
    return [
        f"s{sample}_S1_L00{lane}_R{side}_001.fastq.gz"
        for sample in range(samples)
        for lane in (1, 2)
        for side in (1, 2)
    ]


def test_many_files_are_uploaded_in_order_and_shown_by_their_names(form: Form, tmp_path: Path) -> None:
    names = ["s10_1.fastq.gz", "s2_1.fastq.gz", "<img src=x onerror=alert(1)>.fq", "ä %41 #?.fq", "{}.fq"]
    for name in names:
        (tmp_path / name).write_text(f"content of {name}")
    form.choose("Reads 1", "Upload files", [tmp_path / name for name in names])
    form.arrived("Reads 1", 5)
    assert sorted(form.names("Reads 1")) == sorted(names)
    assert form.names("Reads 1")[3:] == ["s2_1.fastq.gz", "s10_1.fastq.gz"]
    found = form.job()["reads1"]
    assert [file["format"] for file in found] == [FASTQ] * 5
    assert [content(file["location"]) for file in found] == [f"content of {name}" for name in form.names("Reads 1")]
    assert form.rows("Reads 1").nth(3).get_attribute("title") == found[3]["location"]
    assert barriers(form.page) == []
    form.page.set_viewport_size(NARROW)
    assert fits(form.page)


def test_files_are_ordered_and_removed_by_the_keyboard(form: Form) -> None:
    form.drop("Reads 1", "a.fq", "b.fq", "c.fq", "d.fq")
    form.arrived("Reads 1", 4)
    keyboard = form.page.keyboard
    form.rows("Reads 1").first.focus()
    keyboard.press("Alt+ArrowDown")
    assert form.names("Reads 1") == ["b.fq", "a.fq", "c.fq", "d.fq"]
    expect(form.page.locator("#job-status")).to_have_text("Moved: a.fq is number 2 of 4.")
    expect(form.rows("Reads 1").nth(1)).to_be_focused()
    keyboard.press("Shift+ArrowDown")
    expect(form.box("Reads 1")).to_contain_text("4 files, 2 selected")
    keyboard.press("Alt+ArrowUp")
    assert form.names("Reads 1") == ["a.fq", "c.fq", "b.fq", "d.fq"]
    keyboard.press("Delete")
    assert form.names("Reads 1") == ["b.fq", "d.fq"]
    expect(form.rows("Reads 1").first).to_be_focused()
    keyboard.press("Control+z")
    assert form.names("Reads 1") == ["a.fq", "c.fq", "b.fq", "d.fq"]
    form.press("Reads 1", "Sort by name")
    assert [unquote(line).rpartition("/")[2] for line in form.lines("Reads 1")] == ["a.fq", "b.fq", "c.fq", "d.fq"]
    form.rows("Reads 1").nth(3).drag_to(form.rows("Reads 1").nth(0))
    assert form.names("Reads 1") == ["d.fq", "a.fq", "b.fq", "c.fq"]
    assert [file["location"] for file in form.job()["reads1"]] == form.lines("Reads 1")


def test_dropping_twice_adds_once_and_two_drops_add_both(form: Form) -> None:
    form.drop("Reads 1", "a.fq", "b.fq")
    form.drop("Reads 1", "c.fq", "a.fq")
    form.arrived("Reads 1", 3)
    assert form.names("Reads 1") == ["a.fq", "b.fq", "c.fq"]
    expect(form.box("Reads 1")).to_contain_text("1 file in the list already: left out.")
    form.drop("Reads 2", "a.fq")
    form.arrived("Reads 2", 1)
    assert len(set(form.lines("Reads 1") + form.lines("Reads 2"))) == 4


def test_what_is_dropped_beside_the_inputs_does_not_replace_the_page(form: Form) -> None:
    form.page.get_by_role("heading", level=1).evaluate(DROP, [["x.txt", "x"]])
    expect(form.page.locator("#toasts")).to_contain_text("Drop the files on the input that they are for.")


def test_a_drop_that_can_not_be_read_is_no_silence(form: Form) -> None:
    form.page.evaluate(UNREADABLE)
    form.drop("Reads 1", "a.fq")
    expect(form.page.locator("#toasts")).to_contain_text("What was dropped can't be read.")
    expect(form.rows("Reads 1")).to_have_count(0)


def test_pairs_go_into_two_lists_after_a_preview_and_back(form: Form) -> None:
    form.drop("Reads 1", *lanes(2), "orphan_R1.fastq.gz")
    form.arrived("Reads 1", 9)
    before = form.lines("Reads 1")
    form.press("Reads 1", "Show where they would go")
    dialog = form.page.get_by_role("dialog")
    expect(dialog).to_contain_text("4 pairs of files were recognised by their names. 1 file without a partner.")
    expect(dialog.get_by_role("row").nth(1)).to_contain_text(
        "s0L001s0_S1_L001_R1_001.fastq.gzs0_S1_L001_R2_001.fastq.gz"
    )
    expect(dialog.get_by_label("First reads (R1) to").locator("option:checked")).to_have_text("Reads 1")
    expect(dialog.get_by_label("Second reads (R2) to").locator("option:checked")).to_have_text("Reads 2")
    assert barriers(form.page) == []
    picture(form.page, "form-pairs")
    form.page.set_viewport_size(NARROW)
    assert fits(form.page)
    form.page.set_viewport_size({"width": 1200, "height": 900})
    assert form.lines("Reads 1") == before
    dialog.get_by_role("button", name="Put 4 pairs there").click()
    assert form.names("Reads 1") == ["orphan_R1.fastq.gz", *lanes(2)[::2]]
    assert form.names("Reads 2") == lanes(2)[1::2]
    assert len(form.job()["reads2"]) == 4
    expect(form.box("Reads 1").get_by_role("button", name="Undo", exact=True)).to_be_focused()
    form.page.keyboard.press("Enter")
    assert (form.lines("Reads 1"), form.names("Reads 2")) == (before, [])
    assert "reads2" not in form.job()


def test_pairs_become_records_and_the_lanes_of_a_sample_one(form: Form, tmp_path: Path) -> None:
    for name in lanes(2):
        (tmp_path / name).write_text(name)
    paths = [tmp_path / name for name in lanes(2)]
    form.choose("Lanes", "Upload pairs", paths)
    form.page.get_by_role("button", name="Put 4 pairs there").click()
    expect(form.page.locator("[data-busy]")).to_have_count(0)
    job = form.job()["lanes"]
    assert [record["name"] for record in job] == ["s0", "s1"]
    assert [content(file["location"]) for file in job[1]["r2"]] == lanes(2)[5::2]
    form.choose("Samples", "Upload pairs", paths[:2])
    form.page.get_by_role("button", name="Put 1 pair there").click()
    expect(form.page.locator("[data-busy]")).to_have_count(0)
    [sample] = form.job()["samples"]
    assert (sample["id"], content(sample["forward"]["location"])) == ("s0", lanes(1)[0])
    assert content(sample["reverse"]["location"]) == lanes(1)[1]
    form.box("Samples").get_by_role("button", name="Undo", exact=True).click()
    assert "samples" not in form.job()
    assert len(form.job()["lanes"]) == 2


def test_files_of_the_server_are_chosen_by_a_pattern(form: Form, folders: Path) -> None:
    (folders / "inputs/run 1").mkdir(parents=True)
    for name in ("s2_R1.fastq.gz", "s10_R1.fastq.gz", "s2_R2.fastq.gz", "notes.txt", " {odd}\n.fq"):
        (folders / "inputs/run 1" / name).write_text(name)
    form.press("Reads 1", "Browse the server for Reads 1")
    dialog = form.page.get_by_role("dialog")
    dialog.get_by_role("button", name="Inputs").click()
    dialog.get_by_role("button", name="run 1/").click()
    expect(dialog.locator("#browse-message")).to_have_text("1 file of other names is left out.")
    dialog.get_by_role("button", name="Show all files").click()
    expect(dialog.get_by_label("notes.txt")).to_be_visible()
    dialog.get_by_label("Filter").fill("*_R1.fastq.gz")
    expect(dialog.get_by_label("s2_R2.fastq.gz")).to_have_count(0)
    dialog.get_by_label("Select all that are shown").check()
    dialog.get_by_label("Filter").fill("odd")
    expect(dialog.get_by_label("{odd}")).to_be_visible()
    dialog.get_by_label("{odd}").check()
    assert barriers(form.page) == []
    picture(form.page, "form-browse")
    dialog.get_by_role("button", name="Choose 3 files").click()
    assert form.names("Reads 1") == ["s2_R1.fastq.gz", "s10_R1.fastq.gz", " {odd}\n.fq"]
    found = form.job()["reads1"]
    assert [file["location"] for file in found][::2] == ["run 1/s2_R1.fastq.gz", "run 1/ {odd}\n.fq"]
    assert [file["format"] for file in found] == [FASTQ] * 3


def test_what_was_found_for_one_input_is_not_offered_for_another(form: Form, folders: Path) -> None:
    (folders / "inputs/run7").mkdir(parents=True)
    (folders / "inputs/run7/a_1.fastq.gz").write_text("content")
    dialog = form.page.locator("#browse")
    form.press("Reads 1", "Browse the server for Reads 1")
    dialog.get_by_role("button", name="inputs").click()
    dialog.get_by_role("button", name="run7/").click()
    dialog.get_by_label("a_1.fastq.gz").check()
    dialog.get_by_role("button", name="Cancel").click()
    form.page.route("**/inputs/browse?*", lambda route: route.fulfill(status=400, json={"detail": "Not now."}))
    form.press("Reference", "Browse")
    expect(dialog.locator("#browse-message")).to_have_text("Not now.")
    expect(dialog.get_by_text("a_1.fastq.gz")).to_have_count(0)
    expect(dialog.get_by_role("button", name="Choose")).to_have_count(0)
    form.page.unroute_all()
    dialog.get_by_role("button", name="Folders").click()
    expect(dialog.get_by_role("button", name="inputs")).to_be_visible()


def test_secondary_files_go_with_their_file_and_one_file_is_no_list(form: Form) -> None:
    form.drop("Alignments", "a.bam.bai", "a.bam")
    form.arrived("Alignments", 1)
    found = form.job()["bams"]
    assert content(found["location"]) == "content of a.bam"
    assert content(f"{found['location']}.bai") == "content of a.bam.bai"
    expect(form.box("Alignments").get_by_role("button", name="Upload files for Alignments")).to_have_text("More files…")
    form.drop("Alignments", "b.bam")
    form.arrived("Alignments", 2)
    assert len(form.job()["bams"]) == 2


def test_folders_are_uploaded_and_one_file_is_shown_by_its_name(form: Form, tmp_path: Path) -> None:
    for name in ("hg38", "mm10"):
        (tmp_path / name / "index").mkdir(parents=True)
        (tmp_path / name / "index/a.txt").write_text(name)
        (tmp_path / name / "b.txt").write_text(name)
        form.choose("Genomes", "Upload a folder for Genomes", tmp_path / name)
    form.arrived("Genomes", 2)
    assert form.names("Genomes") == ["hg38", "mm10"]
    assert [content(f"{line}/index/a.txt") for line in form.lines("Genomes")] == ["hg38", "mm10"]
    form.drop("Genomes", "loose.txt")
    expect(form.box("Genomes")).to_contain_text("This input takes folders with files in them")

    form.choose("Reference", "Upload Reference from this computer", tmp_path / "hg38/b.txt")
    chip = form.box("Reference").get_by_role("button", name="Path of Reference: b.txt")
    expect(chip).to_have_text("b.txt")
    assert content(form.job()["reference"]["location"]) == "hg38"
    chip.click()
    expect(form.page.get_by_label("Reference reference: File?")).to_be_focused()


def test_a_group_is_used_only_where_it_is_asked_for(form: Form) -> None:
    group = form.page.get_by_role("group", name="Trimming")
    expect(form.page.locator("#in-6-0")).to_be_hidden()
    group.get_by_label("Use this group").check()
    expect(form.page.locator("#in-6-0")).to_be_focused()
    form.page.locator("#in-6-0").fill("20")
    assert form.job()["trim"] == {"length": 20}
    group.get_by_label("Use this group").uncheck()
    assert "trim" not in form.job()
    group.get_by_label("Use this group").check()
    expect(form.page.locator("#in-6-0")).to_have_value("20")


def test_required_inputs_come_first_for_who_wants_that(form: Form) -> None:
    def order() -> list[str]:
        return [str(box.get_attribute("data-number")) for box in form.page.locator("#job-fields > .job-input").all()]

    author = [str(number) for number in range(len(INPUTS))]
    assert order() == author
    form.page.get_by_label("Required inputs first").check()
    assert order() == ["1", "0", *author[2:]]
    form.page.reload()
    expect(form.page.get_by_label("Required inputs first")).to_be_checked()
    assert order() == ["1", "0", *author[2:]]
    form.page.get_by_label("Required inputs first").uncheck()
    assert order() == author


def test_the_text_and_the_list_are_the_same(form: Form) -> None:
    box = form.box("Reads 1")
    box.get_by_text("As text").click()
    box.locator("textarea").fill("a/one.fq\nb/two.fq\n")
    assert form.names("Reads 1") == ["one.fq", "two.fq"]
    form.page.get_by_text("YAML or JSON", exact=True).click()
    expect(form.page.locator("#job")).to_have_value(re.compile("b/two.fq"))
    form.page.get_by_text("Form", exact=True).click()
    expect(form.rows("Reads 1")).to_have_count(2)
    assert form.names("Reads 1") == ["one.fq", "two.fq"]


def test_who_is_quicker_than_the_scripts_loses_nothing(form: Form) -> None:
    held: list[Route] = []
    form.page.route("**/job.js*", lambda route: held.append(route))
    form.page.reload(wait_until="commit")
    form.page.get_by_label("Title").fill("hello")
    form.page.get_by_text("YAML or JSON", exact=True).click()
    expect(form.page.locator("#job")).to_be_visible()
    assert held, "the script was there before"
    held[0].continue_()
    expect(form.page.locator("#job")).to_have_value(re.compile("title: hello"))


def test_what_is_chosen_before_the_scripts_are_there_is_shown(
    open_page: Callable[..., Page], add: Callable[..., Any]
) -> None:
    dag_id = f"either-{uuid.uuid4().hex[:8]}"
    add(dag_id, inputs=(Parameter("either", ["File", TRIM], label="Either"),))
    page = open_page(f"/cwl/workflows/{dag_id}/run")
    choice = page.get_by_label("Type of Either")
    while_held(page, "job_fields.js", lambda: choice.select_option(index=2))
    expect(page.get_by_label("length")).to_be_visible()


def test_a_thousand_files_stay_usable(form: Form) -> None:
    paths = "\n".join(f"run/s{number}.fq" for number in range(1000))
    area = form.box("Reads 1").locator("textarea")
    area.evaluate("(area, text) => { area.value = text; area.dispatchEvent(new Event('input')); }", paths)
    expect(form.rows("Reads 1")).to_have_count(1000)
    form.rows("Reads 1").nth(999).click()
    form.page.keyboard.press("Alt+ArrowUp")
    assert form.names("Reads 1")[998] == "s999.fq"
    assert len(form.job()["reads1"]) == 1000
    assert form.page.evaluate("document.querySelectorAll('[data-title=\"Reads 1\"] *').length") < 3200
