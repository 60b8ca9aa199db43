"""Every page in a window of a telephone, in a theme of one's own, below a prefix, and inside of Airflow's frame."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from playwright.sync_api import Page, expect
from support.browsers import barriers, keep, overflowing
from support.documents import ECHO
from support.served import NARROW, serving
from support.stored import start_run
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.wrappers import Response

from cwl_ui_plugin.library.versions import StoredVersion

pytestmark = pytest.mark.e2e
PREFIX = "/science/airflow"
SHADES = {50: 97, 100: 94, 200: 89, 300: 82, 400: 72, 500: 62, 600: 50, 700: 44, 800: 37, 900: 31, 950: 22}
BRAND = {str(shade): {"value": f"oklch({light / 100} 0.1 155)"} for shade, light in SHADES.items()}
THEME = json.dumps({"tokens": {"colors": {"brand": BRAND}}})
HOST = (
    "<!doctype html><html lang=en class=dark><title>Airflow</title><link rel=icon href=data:,>"
    "<iframe title=CWL style='width:100%;height:90vh' "
)


@pytest.fixture
def delivered(workflow: str, run_id: str, folders: Path, airflow: Any) -> dict[str, str]:
    """Give the run an output, and let it end; return what addresses need to know."""
    folder = folders / "outputs" / workflow / run_id
    folder.mkdir(parents=True)
    (folder / "words.txt").write_text("hello\n")
    file = {"class": "File", "location": (folder / "words.txt").as_uri(), "basename": "words.txt", "size": 6}
    start_run(workflow, run_id)
    airflow.push(workflow, run_id, "CWLJobGatherer", "return_value", {"out": file})
    airflow.set_run(workflow, run_id, "success")
    return {"dag_id": workflow, "run_id": run_id}


def pages(delivered: dict[str, str], add: Callable[..., StoredVersion]) -> dict[str, str]:
    dag_id, run = delivered["dag_id"], urlencode(delivered)
    twice = urlencode({"run": ["/".join(delivered.values())] * 2}, doseq=True)
    add(dag_id, "two")
    return {
        "workflows": "/workflows",
        "workflow": f"/workflows/{dag_id}",
        "source": f"/workflows/{dag_id}/source",
        "versions": f"/workflows/{dag_id}/versions",
        "trigger": f"/workflows/{dag_id}/run",
        "schedule": f"/workflows/{dag_id}/schedule",
        "runs": "/runs",
        "run": f"/run?{run}",
        "step": f"/run/step?{run}&task_id=sort",
        "compare": f"/compare?{twice}",
        "reports": f"/runs/{dag_id}/{delivered['run_id']}/reports",
    }


def test_a_theme_and_a_small_window_fit_every_page(
    open_page: Callable[..., Page],
    delivered: dict[str, str],
    add: Callable[..., StoredVersion],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AIRFLOW__API__THEME", THEME)
    page = open_page("/cwl/runs", viewport=NARROW)
    brand = page.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--af-brand-solid')")
    assert brand.strip() == BRAND["600"]["value"]
    root = page.url.removesuffix("/runs")
    for name, path in pages(delivered, add).items():
        page.goto(root + path)
        expect(page.get_by_role("heading", level=1).first).to_be_visible()
        keep(page, f"theme-{name}")
        assert barriers(page) == [], path
        assert overflowing(page) == [], path


@pytest.fixture
def prefixed(flask_app: Any) -> Iterator[str]:
    """The address of the pages below a prefix, as Airflow mounts them there, and of a page with a frame around them."""

    def host(environ: dict[str, Any], start: Any) -> Any:
        inside = environ["QUERY_STRING"]
        found = inside and environ["PATH_INFO"] == f"{PREFIX}/host"
        body = f'{HOST}src="{PREFIX}/pluginsv2/cwl{inside}"></iframe>' if found else "not found"
        return Response(body, 200 if found else 404, mimetype="text/html")(environ, start)

    app = DispatcherMiddleware(host, {f"{PREFIX}/pluginsv2": flask_app})
    with serving(app) as found:
        yield f"{found}{PREFIX}"


@pytest.mark.parametrize("framed", [False, True])
def test_nothing_leads_out_of_the_prefix(
    open_page: Callable[..., Page],
    prefixed: str,
    delivered: dict[str, str],
    framed: bool,
) -> None:
    page = open_page("/cwl/runs")  # for the cookie of a user, which is for all ports of the host
    outside: list[str] = []
    broken: list[str] = []
    view = page.context.new_page()
    view.on("request", lambda sent: None if sent.url.startswith((prefixed, "data:")) else outside.append(sent.url))
    view.on("response", lambda got: broken.append(f"{got.status} {got.url}") if got.status >= 400 else None)
    view.on("console", lambda told: broken.append(told.text) if told.type == "error" else None)
    view.on("pageerror", lambda error: broken.append(str(error)))

    def go(path: str) -> Any:
        view.goto(f"{prefixed}/host?{path}" if framed else f"{prefixed}/pluginsv2/cwl{path}")
        return view.frame_locator("iframe") if framed else view

    inside = go("/workflows")
    file = {"name": "prefixed.cwl", "mimeType": "", "buffer": ECHO.encode()}
    inside.locator("input[type=file]").first.set_input_files(file)
    inside.get_by_role("button", name="Upload", exact=True).click()
    expect(inside.locator('#graph [data-node="prefixed"]')).to_be_visible(timeout=60_000)
    inside.get_by_role("link", name="Source").click()
    expect(inside.locator("pre.source")).to_contain_text("baseCommand")
    inside.get_by_role("link", name="Run", exact=True).first.click()
    expect(inside.get_by_role("button", name="Run", exact=True)).to_be_visible()

    inside = go(f"/run?{urlencode(delivered)}")
    expect(inside.locator("#graph svg")).to_be_visible()
    download = inside.get_by_role("link", name="Download words.txt").get_attribute("href")
    assert str(download).startswith(f"{PREFIX}/cwl/api/v1/")
    inside.get_by_role("link", name="Preview").click()
    expect(inside.get_by_role("dialog").locator("pre")).to_have_text("hello\n")
    inside.get_by_role("button", name="Close").click()
    inside.get_by_role("link", name="Step sort", exact=True).first.click()
    expect(inside.get_by_role("heading", level=1)).to_contain_text("Step sort")
    if framed:
        inside.get_by_role("link", name="Runs", exact=True).click()
        expect(inside.get_by_role("link", name=delivered["run_id"])).to_be_visible()
        expect(inside.locator("html")).to_have_class(re.compile(r"\bdark\b"))  # as the page around it
    assert (outside, broken) == ([], [])
    assert urlsplit(view.url).path.startswith(PREFIX)
