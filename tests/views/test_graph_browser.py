"""The graph on the page of a workflow, in a real browser: by mouse, by keyboard, with states, with hostile names."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect
from support.browsers import barriers
from support.served import fits, script_of

from cwl_ui_plugin.library.versions import StoredVersion

pytestmark = pytest.mark.e2e
HOSTILE = '</title><img src=x onerror="alert(1)">\u202e\u2066right to left'
INNER = {
    "class": "Workflow",
    "inputs": [{"id": "#inside/text", "type": "string"}],
    "outputs": [],
    "steps": [
        {
            "id": "#inside/say",
            "in": [{"id": "#inside/say/text", "source": "#inside/text"}],
            "out": [],
            "run": {"class": "CommandLineTool", "baseCommand": "echo", "inputs": [], "outputs": []},
        }
    ],
}


def change(version: StoredVersion, **files: Callable[[dict], None]) -> None:  # type: ignore[type-arg]
    """Change the stored plan or packed document, as an upload of another document would have made it."""
    for name, edit in files.items():
        path: Path = version.folder / {"plan": "plan.json", "packed": "packed.cwl"}[name]
        data = json.loads(path.read_text())
        edit(data)
        path.write_text(json.dumps(data))


def test_the_keyboard_walks_through_the_graph_and_opens_details(
    open_page: Callable[..., Page],
    workflow: str,
) -> None:
    page = open_page(f"/cwl/workflows/{workflow}", viewport={"width": 400, "height": 800}, color_scheme="dark")
    node_of = lambda name: page.locator(f'#graph [data-node="{name}"]')  # noqa: E731
    expect(node_of("count")).to_be_visible()
    node_of("inputs/text").focus()
    page.keyboard.press("ArrowDown")
    expect(node_of("sort")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(node_of("count")).to_be_focused()
    page.keyboard.press("Enter")
    details = page.get_by_role("region", name="Details of the chosen node")
    expect(details).to_contain_text("count.cwl")
    expect(details).to_contain_text("from sort/out")
    page.get_by_text("As a list").click()
    assert barriers(page) == []
    assert fits(page)
    node_of("count").focus()
    page.keyboard.press("Escape")
    expect(details).to_be_hidden()
    before = page.locator("#graph svg").get_attribute("width")
    page.keyboard.press("+")
    assert page.locator("#graph svg").get_attribute("width") != before
    page.keyboard.press("0")
    assert page.locator("#graph svg").get_attribute("width") == before


def test_a_subworkflow_opens_and_takes_its_state_from_its_steps(
    open_page: Callable[..., Page],
    add: Callable[..., StoredVersion],
) -> None:
    version = add("nested-graph")

    def nest(plan: dict) -> None:  # type: ignore[type-arg]
        inner = {**plan["steps"][0], "id": "say", "full_id": "#inside/say", "task_id": "sort.say", "label": "Say"}
        plan["steps"][0]["steps"] = [inner]

    change(version, plan=nest, packed=lambda packed: packed["steps"][0].update(run=INNER))
    page = open_page("/cwl/workflows/nested-graph")
    outer = page.locator('#graph [data-node="sort"]')
    expect(outer).to_have_attribute("aria-expanded", "false")
    outer.focus()
    page.keyboard.press("Space")
    expect(outer).to_have_attribute("aria-expanded", "true")
    inner = page.locator('#graph [data-node="sort.say"]')
    expect(inner).to_be_visible()
    graph = script_of(page, "graph.js")
    mount = """async ([script, states]) => {
        const { load } = await import(script);
        (await load(document.getElementById("graph"))).setStates(states);
    }"""
    page.evaluate(mount, [graph, {"sort.inputs": "success", "sort.say": {"state": "running", "text": "3 of 10"}}])
    expect(outer).to_have_attribute("data-state", "running")
    expect(outer).to_have_accessible_name("step Step sort, subworkflow, running")
    page.evaluate(mount, [graph, {"sort.inputs": "success", "sort.say": "failed", "sort": "upstream_failed"}])
    expect(outer).to_have_attribute("data-state", "failed")
    page.evaluate(mount, [graph, {"sort.inputs": "success", "sort.say": "success", "sort": "success"}])
    expect(outer).to_have_attribute("data-state", "success")
    outer.locator(".toggle").click()
    expect(inner).to_be_visible()


def test_names_and_texts_of_a_document_are_only_text(
    open_page: Callable[..., Page],
    add: Callable[..., StoredVersion],
) -> None:
    version = add("hostile-graph")

    def name(plan: dict) -> None:  # type: ignore[type-arg]
        plan.update(label=HOSTILE, doc=HOSTILE)
        plan["steps"][0].update(label=HOSTILE, doc=HOSTILE, tool_name=HOSTILE, container=HOSTILE, when=HOSTILE)
        plan["inputs"][0].update(label=HOSTILE, doc=HOSTILE)

    change(version, plan=name, packed=lambda packed: packed["inputs"][0].update(label="x" * 10_000_000, doc=HOSTILE))
    page = open_page("/cwl/workflows/hostile-graph")
    step = page.locator('#graph [data-node="sort"]')
    step.click()
    details = page.get_by_role("region", name="Details of the chosen node")
    expect(details).to_contain_text(HOSTILE)
    assert page.locator("#graph img, main img").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_all_links_of_a_large_workflow_are_drawn(
    open_page: Callable[..., Page],
    add: Callable[..., StoredVersion],
) -> None:
    names = tuple(f"s{number}" for number in range(120))
    version = add("large-graph", steps=names)

    def read_text(packed: dict) -> None:  # type: ignore[type-arg]
        for step in packed["steps"]:
            step["in"].append({"id": f"{step['id']}/text", "source": "#text"})

    change(version, packed=read_text)
    page = open_page("/cwl/workflows/large-graph")
    expect(page.locator("#graph .link")).to_have_count(119 + 120)


def test_what_failed_for_a_moment_is_asked_for_again(
    open_page: Callable[..., Page],
    workflow: str,
) -> None:
    page = open_page(f"/cwl/workflows/{workflow}", expected="503")
    asked: list[str] = []
    failures = 1

    def answer(route: Route) -> None:
        asked.append(route.request.url)
        if len(asked) > failures:
            route.continue_()
        else:
            route.fulfill(status=503, body="<p>busy")

    page.route("**/graph?*", answer)
    page.reload()
    expect(page.locator("#graph svg")).to_be_visible()
    assert len(asked) == 2
    failures = 100
    asked.clear()
    page.reload()
    expect(page.locator("#graph")).to_have_text("The server answered with 503. Reload the page to try again.")
    assert len(asked) == 3
