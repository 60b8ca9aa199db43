"""The graphs of large workflows in a real browser: they can be read at first sight, and all of them can be reached."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from support.browsers import barriers
from support.pipelines import pipeline, pipelines
from support.served import NARROW, fits, script_of

from cwl_ui_plugin.cwl.compiler import compiling
from cwl_ui_plugin.cwl.graph import Graph, graph_of
from cwl_ui_plugin.cwl.plan import read_packed, read_plan

pytestmark = pytest.mark.e2e
LEAST_TEXT = 11.0
WIDE = {"width": 1440, "height": 900}
HOSTILE = '</title></style><script>alert(1)</script>&"\u0001\u202e'
LAID_OUT = """() => {
    const frame = document.querySelector(".graph-frame");
    const svg = frame.querySelector("svg");
    const scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
    const place = (one) => {
        const { left, top, right, bottom } = one.getBoundingClientRect();
        return [left, top, right, bottom];
    };
    const sizeOf = (text) => parseFloat(getComputedStyle(text).fontSize) * scale;
    const nodes = [...svg.querySelectorAll(".node")].map((node) => {
        const texts = [...node.querySelectorAll("text")];
        return {
            id: node.dataset.node, depth: Number(node.dataset.depth), box: place(node.querySelector(".shape")),
            texts: texts.map(place), smallest: Math.min(...texts.map(sizeOf)),
        };
    });
    return { nodes, frame: place(frame), scrolls: frame.scrollWidth > frame.clientWidth };
}"""


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Graph]:
    """The graphs of pipelines, compiled: of 60 steps, of 33 with few inputs, of 3 with 35 outputs."""
    documents = {name: document for name, document in pipelines().items() if name in ("pipeline-4", "pipeline-5")}
    documents["three"] = pipeline("Three steps", 3, 14, 35)
    return {name: _compiled(tmp_path_factory.mktemp(name), document) for name, document in documents.items()}


def _compiled(folder: Path, document: dict[str, Any]) -> Graph:
    (folder / "source").mkdir()
    (folder / "source/main.cwl").write_text(json.dumps(document))
    compiling.compile_document(folder / "source", "main.cwl", folder / "compiled")
    return graph_of(read_plan(folder / "compiled"), read_packed(folder / "compiled"))


@pytest.fixture
def show(open_page: Callable[..., Page], workflow: str) -> Callable[..., Page]:
    """Open the page of a workflow with another graph: ``show(graph, **context)``."""

    def shown(graph: Graph, **options: Any) -> Page:
        page = open_page("/cwl/settings", **options)
        page.route("**/graph?*", lambda route: route.fulfill(json=graph))
        page.add_init_script("window.print = () => { parent.printed = document.documentElement.outerHTML; }")
        page.goto(page.url.replace("/cwl/settings", f"/cwl/workflows/{workflow}"))
        expect(page.locator("#graph .node").first).to_be_visible()
        page.locator("#graph").scroll_into_view_if_needed()
        return page

    return shown


def overlapping(nodes: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """Yield the boxes that lie on each other; those of an opened subworkflow lie in it."""
    for at, one in enumerate(nodes):
        for other in nodes[at + 1 :]:
            if one["depth"] != other["depth"]:
                continue
            (left, top, right, bottom), box = one["box"], other["box"]
            if left < box[2] - 1 and box[0] < right - 1 and top < box[3] - 1 and box[1] < bottom - 1:
                yield one["id"], other["id"]


@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["1440", "400"])
@pytest.mark.parametrize("name", ["pipeline-4", "pipeline-5", "three"])
def test_a_graph_can_be_read_at_first_sight_and_nothing_lies_on_another(
    show: Callable[..., Page], graphs: dict[str, Graph], name: str, viewport: dict[str, int]
) -> None:
    page = show(graphs[name], viewport=viewport)
    found = page.evaluate(LAID_OUT)
    steps = [node for node in graphs[name]["nodes"] if node["kind"] == "step"]
    assert len(found["nodes"]) >= len(steps)
    assert min(node["smallest"] for node in found["nodes"]) >= LEAST_TEXT
    assert list(overlapping(found["nodes"])) == []
    for node in found["nodes"]:
        left, top, right, bottom = node["box"]
        for text in node["texts"]:
            assert left < text[0], node
            assert text[2] < right, node
            assert top < text[1] + 2, node
            assert text[3] < bottom + 2, node
    in_sight = [
        node for node in found["nodes"] if node["box"][1] >= found["frame"][1] and node["box"][3] <= found["frame"][3]
    ]
    assert len(in_sight) >= min(4, len(found["nodes"]))
    assert fits(page)
    assert barriers(page) == []


def test_many_inputs_and_outputs_are_folded_until_they_are_asked_for(
    show: Callable[..., Page], graphs: dict[str, Graph]
) -> None:
    page = show(graphs["three"], viewport=WIDE)
    outputs = page.locator("#graph .node.output")
    expect(outputs).to_have_count(1)
    expect(outputs).to_have_accessible_name("35 outputs, folded")
    outputs.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("region", name="Details of the chosen node")).to_contain_text("Result 34")
    page.keyboard.press("Space")
    expect(outputs).to_have_count(35)
    expect(outputs.first).to_be_focused()
    assert list(overlapping(page.evaluate(LAID_OUT)["nodes"])) == []
    page.get_by_role("button", name="Fold 35 outputs").click()
    expect(outputs).to_have_count(1)
    page.locator("#graph .node.input").click()
    expect(page.locator("#graph .node.input")).to_have_count(14)
    expect(page.get_by_role("button", name="Fold 14 inputs")).to_have_attribute("aria-expanded", "true")


def test_a_step_is_found_by_its_name_also_in_a_closed_subworkflow(
    show: Callable[..., Page], graphs: dict[str, Graph]
) -> None:
    page = show(graphs["pipeline-4"], viewport=WIDE)
    page.locator("#graph .node[tabindex='0']").focus()
    page.keyboard.press("/")
    field = page.get_by_role("searchbox", name="Find a step")
    expect(field).to_be_focused()
    page.keyboard.type("multiqc report")
    expect(page.locator(".graph-bar [role=status]")).to_have_text("1 of 3")
    step = page.locator("#graph .node.found").first
    expect(step).to_be_in_viewport()
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    expect(page.locator(".graph-bar [role=status]")).to_have_text("2 of 3")
    page.keyboard.press("ArrowDown")
    expect(page.locator("#graph .node.chosen")).to_be_focused()
    page.keyboard.press("/")
    field.fill("count reads")
    expect(page.locator("#graph .node.open")).to_have_count(0)
    page.keyboard.press("Enter")
    expect(page.locator("#graph .node.open")).to_have_count(1)
    expect(page.locator("#graph .node.chosen")).to_be_in_viewport()
    field.fill("output_40")
    page.keyboard.press("Enter")
    expect(page.locator('#graph [data-node="outputs/output_40"]')).to_be_in_viewport()
    field.fill("nothing like it")
    expect(page.locator(".graph-bar [role=status]")).to_have_text("Nothing is called so")
    assert list(overlapping(page.evaluate(LAID_OUT)["nodes"])) == []


def test_a_closed_subworkflow_opens_on_a_click_and_stays_where_it_is(
    show: Callable[..., Page], graphs: dict[str, Graph]
) -> None:
    page = show(graphs["pipeline-4"], viewport=WIDE)
    closed = page.locator('#graph .node[aria-expanded="false"].step')
    count = closed.count()
    outer = closed.first
    name = outer.get_attribute("data-node")
    outer.scroll_into_view_if_needed()
    outer.click()
    opened = page.locator(f'#graph [data-node="{name}"]')
    expect(opened).to_have_attribute("aria-expanded", "true")
    expect(opened).to_be_in_viewport()
    expect(opened).to_be_focused()
    assert list(overlapping(page.evaluate(LAID_OUT)["nodes"])) == []
    opened.locator(".toggle").first.click()
    expect(closed).to_have_count(count)


def test_a_large_graph_has_a_map_and_can_fill_the_screen(show: Callable[..., Page], graphs: dict[str, Graph]) -> None:
    page = show(graphs["pipeline-4"], viewport=WIDE)
    small = page.locator(".graph-map")
    expect(small).to_be_visible()
    box = small.bounding_box()
    assert box
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] - 2)
    frame = page.locator(".graph-frame")
    assert frame.evaluate("(frame) => frame.scrollTop") > 500
    page.get_by_role("button", name="All: Show all").click()
    found = page.evaluate(LAID_OUT)
    assert not found["scrolls"]
    expect(small).to_have_count(0)
    page.get_by_role("button", name="Full: The whole screen").click()
    expect(page.locator("#graph")).to_have_css("position", "fixed")
    expect(page.get_by_role("button", name="Full: The whole screen")).to_have_attribute("aria-pressed", "true")
    assert page.evaluate(LAID_OUT)["frame"][3] > WIDE["height"] * 0.8
    page.get_by_role("button", name="Full: The whole screen").click()
    expect(page.locator("#graph")).not_to_have_css("position", "fixed")


def test_the_graph_is_taken_away_as_an_svg_that_needs_nothing_else(
    show: Callable[..., Page], graphs: dict[str, Graph], tmp_path: Path
) -> None:
    graph = json.loads(json.dumps(graphs["three"]))
    graph["nodes"][-1]["label"] = graph["nodes"][14]["label"] = HOSTILE
    page = show(graph, viewport=WIDE, color_scheme="dark")
    failed = next(node["id"] for node in graph["nodes"] if node["kind"] == "step")
    page.evaluate(
        """async ([script, states]) => {
            const { load } = await import(script);
            (await load(document.getElementById("graph"))).setStates(states);
        }""",
        [script_of(page, "graph.js"), {failed: "failed"}],
    )
    with page.expect_download() as download:
        page.get_by_role("button", name="SVG").click()
    assert download.value.suggested_filename.endswith("-graph.svg")
    text = Path(download.value.path()).read_text()
    root = ET.fromstring(text)
    names = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert names == {"svg", "title", "style", "defs", "marker", "path", "rect", "g", "text"}
    assert "script>" not in text
    assert "var(" not in text
    assert "url(http" not in text
    shown = "".join(root.itertext())
    assert "35 outputs" in shown
    assert HOSTILE.replace("\u0001", "\ufffd") in shown
    alone = page.context.new_page()
    alone.set_content(f"<img src='data:image/svg+xml;utf8,{alone.evaluate('encodeURIComponent', text)}'>")
    expect(alone.locator("img")).to_have_js_property("complete", True)
    assert alone.locator("img").evaluate("(image) => image.naturalWidth") > 300
    alone.set_content(text.partition("?>")[2])
    expect(alone.locator("[data-state=failed] .stripe")).to_have_css("fill", "rgb(231, 0, 11)")


def test_the_graph_is_printed_alone(show: Callable[..., Page], graphs: dict[str, Graph]) -> None:
    page = show(graphs["three"], viewport=WIDE, color_scheme="dark")
    assert page.evaluate("window.printed") is None
    page.get_by_role("button", name="Print").click()
    printed = page.evaluate("window.printed")
    assert printed.startswith("<html><head><title>Graph of the workflow")
    assert "35 outputs" in printed
    assert "<button" not in printed
