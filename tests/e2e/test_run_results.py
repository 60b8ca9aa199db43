"""The page of a real run in a real browser: outputs and their previews, logs while they grow, hostile content."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect
from support.airflow_server import Server, wait_for
from support.browsers import barriers, overflowing, picture, watch

pytestmark = pytest.mark.e2e

ELSEWHERE = "http://elsewhere.invalid/"
SCRIPT = "<script>parent.document.title='broken'</script><img src=x onerror=\"parent.document.title='broken'\">"
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
PDF = """%PDF-1.4
1 0 obj<</Type/Catalog/Pages 2 0 R/OpenAction<</S/JavaScript/JS(app.alert\\(1\\);this.submitForm\\("http://elsewhere.invalid/"\\))>>
/AA<</WC<</S/URI/URI(http://elsewhere.invalid/)>>>>/Names<</JavaScript<</Names[(a)5 0 R]>>>>>>endobj
2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj
3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 100]/Contents 4 0 R/Resources<</Font<</F1<</Type/Font/Subtype/Type1
/BaseFont/Helvetica>>>>>>>>endobj
4 0 obj<</Length 43>>stream
BT /F1 18 Tf 20 40 Td (A drawn page) Tj ET

endstream endobj
5 0 obj<</S/JavaScript/JS(parent.document.title="broken")>>endobj
trailer<</Root 1 0 R>>
"""
MAKE = f"""
import base64, json, pathlib, sys, time
script = {SCRIPT!r}
folder = pathlib.Path("results")
(folder / "deep").mkdir(parents=True)
(folder / "page.html").write_text(
    '<meta http-equiv="refresh" content="0;url={ELSEWHERE}"><base target="_top">'
    '<link rel="stylesheet" href="{ELSEWHERE}">'
    '<h1>A page</h1><form action="{ELSEWHERE}"><button autofocus onfocus="this.click()">x</button></form>'
    '<iframe src="javascript:parent.parent.document.title=1"></iframe><object data="{ELSEWHERE}"></object>'
    '<style>@import url({ELSEWHERE}); body {{{{ background: url({ELSEWHERE}) }}}}</style>' + script)
(folder / "<b>bold & \\u202egnp.txt").write_text(script)
(folder / "paper.pdf").write_text({PDF!r})
(folder / "deep" / "table.csv").write_text("name,value\\n" + script + ",2\\n")
for number in range(250):
    (folder / "deep" / f"part-{{number:03}}.txt").write_text("x")
pathlib.Path("plot.svg").write_text(
    '<svg xmlns="http://www.w3.org/2000/svg" width="80" height="40"><script>parent.document.title="broken"</script>'
    '<rect width="80" height="40" fill="teal" onload="parent.document.title=1"/><image href="{ELSEWHERE}"/>'
    '<foreignObject><iframe xmlns="http://www.w3.org/1999/xhtml" src="{ELSEWHERE}"/></foreignObject></svg>')
pathlib.Path("plot.png").write_bytes(base64.b64decode({PNG!r}))
pathlib.Path("facts.json").write_text(json.dumps({{"script": script}}))
print(script, flush=True)
print("warned", file=sys.stderr, flush=True)
"""
WORKFLOW: dict[str, Any] = {
    "cwlVersion": "v1.2",
    "class": "Workflow",
    "label": "Results of all kinds",
    "requirements": {"ScatterFeatureRequirement": {}},
    "inputs": {"names": "string[]", "code": "int", "text": "string"},
    "outputs": {
        "results": {"type": "Directory", "outputSource": "make/results"},
        "plots": {"type": "File[]", "outputSource": "make/plots"},
        "facts": {"type": "File", "outputSource": "make/facts"},
    },
    "steps": {
        "make": {
            "run": {
                "class": "CommandLineTool",
                "baseCommand": ["python3", "-c", MAKE],
                "inputs": {},
                "outputs": {
                    "results": {"type": "Directory", "outputBinding": {"glob": "results"}},
                    "plots": {"type": "File[]", "outputBinding": {"glob": "plot.*"}},
                    "facts": {"type": "File", "outputBinding": {"glob": "facts.json"}},
                },
            },
            "in": {},
            "out": ["results", "plots", "facts"],
        },
        "greet": {
            "run": {
                "class": "CommandLineTool",
                "baseCommand": "echo",
                "inputs": {"name": {"type": "string", "inputBinding": {}}},
                "outputs": [],
            },
            "scatter": "name",
            "in": {"name": "names"},
            "out": [],
        },
        "check": {
            "run": {
                "class": "CommandLineTool",
                "baseCommand": ["sh", "-c", "echo $0; echo 'it said <b>no</b>' >&2; exit $1"],
                "inputs": {
                    "text": {"type": "string", "inputBinding": {"position": 1}},
                    "code": {"type": "int", "inputBinding": {"position": 2}},
                },
                "outputs": [],
            },
            "in": {"code": "code", "text": "text"},
            "out": [],
        },
    },
}


@pytest.fixture(scope="module")
def site(server: Server) -> Server:
    return server


@pytest.fixture(scope="module")
def started(server: Server, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The id of the workflow, with two runs that have ended: ``good`` and ``bad``."""
    document = tmp_path_factory.mktemp("pages") / "results.cwl"
    document.write_text(json.dumps(WORKFLOW))
    server.command("upload", document)
    with server.client() as client:
        for run_id, code in (("good", 0), ("bad", 42)):
            job = {"names": ["ada", "<i>bob</i>"], "code": code, "text": "a text"}
            answer = client.post("/cwl/api/v1/workflows/results/runs", json={"run_id": run_id, "job": job})
            assert answer.status_code == 201, answer.text
        for run_id, state in (("good", "success"), ("bad", "failed")):
            assert wait_for(lambda run_id=run_id: ended(client, run_id), what="the end of the run") == state
    return "results"


def ended(client: httpx.Client, run_id: str) -> str | None:
    state = client.get(f"/cwl/api/v1/workflows/results/runs/{run_id}").json()["state"]
    return str(state) if state in ("success", "failed") else None


@pytest.fixture
def show(page: Page, site: Server, started: str) -> Any:
    """Open the page of a run; at the end nothing of the run's outputs has been at work, or has asked for anything."""
    asked, dialogs = [], []
    watch(page, asked.append)
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))

    def open_run(run_id: str) -> Page:
        page.goto(f"{site.url}/pluginsv2/cwl/run?dag_id={started}&run_id={run_id}")
        expect(page.get_by_role("heading", name=run_id, exact=True)).to_be_visible(timeout=30_000)
        return page

    yield open_run
    assert "broken" not in page.title()
    assert dialogs == []
    assert [url for url in asked if url.startswith(ELSEWHERE)] == []
    assert len(page.context.pages) == 1


def test_outputs_are_opened_previewed_and_downloaded(show: Any, site: Server) -> None:
    run = show("good")
    run.get_by_text("results/", exact=True).click()
    expect(run.get_by_role("link", name="Preview results/<b>bold &")).to_be_visible()
    run.get_by_text("deep/", exact=True).click()
    expect(run.get_by_text("part-000.txt", exact=True)).to_be_visible()
    expect(run.get_by_text("part-200.txt", exact=True)).to_have_count(0)
    run.get_by_role("link", name="Show more").click()
    expect(run.get_by_text("part-150.txt", exact=True)).to_be_visible()
    run.get_by_role("link", name="Show more").click()
    picture(run, site, "run-outputs")

    dialog = run.get_by_role("dialog")

    def preview(name: str) -> None:
        run.get_by_role("link", name=f"Preview {name}").click()
        expect(dialog.get_by_role("heading")).to_have_text(name.rpartition("/")[2])

    preview("results/page.html")
    inside = run.frame_locator("iframe.preview")
    expect(inside.get_by_role("heading", name="A page")).to_be_visible()
    picture(run, site, "preview-html")
    run.keyboard.press("Escape")
    preview("results/paper.pdf")
    expect(dialog.get_by_role("img", name="Page 1 of 1")).to_be_visible(timeout=30_000)
    expect(dialog.get_by_text("A drawn page")).to_be_attached()
    picture(run, site, "preview-pdf")
    run.keyboard.press("Escape")
    preview("plot.svg")
    expect(dialog.locator("img.preview")).to_have_js_property("naturalWidth", 80)
    run.keyboard.press("Escape")
    preview("plot.png")
    expect(dialog.locator("img.preview")).to_have_js_property("naturalWidth", 1)
    run.keyboard.press("Escape")
    preview("results/deep/table.csv")
    expect(dialog.get_by_role("cell", name=SCRIPT)).to_be_visible()
    picture(run, site, "preview-table")
    assert barriers(run) == []
    run.keyboard.press("Escape")
    preview("facts.json")
    expect(dialog.locator("pre")).to_contain_text("<script>")
    run.keyboard.press("Escape")

    with run.expect_download() as download:
        run.get_by_role("link", name="Download as zip results", exact=True).click()
    with zipfile.ZipFile(Path(download.value.path())) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert len(names) == 254
        assert "results/deep/part-249.txt" in names


def test_pictures_are_seen_and_each_file_is_known_by_its_runs(show: Any, site: Server) -> None:
    run = show("good")
    run.get_by_role("link", name="All pictures").click()
    expect(run.locator('a[data-picture="plot.svg"] img')).to_have_js_property("naturalWidth", 80)
    picture(run, site, "pictures")
    run.get_by_role("link", name="plot.png").click()
    run.keyboard.press("ArrowRight")
    expect(run.locator("#picture img")).to_have_js_property("naturalWidth", 80)
    run.keyboard.press("Escape")
    with site.client() as client:
        files = wait_for(lambda: noted(client), what="the files of the run")
    assert {(file["port"], file["name"]) for file in files} >= {("plots", "plot.svg"), ("facts", "facts.json")}
    assert all(file["checksum"] for file in files if file["name"].startswith("plot."))
    run.go_back()
    run.get_by_role("link", name="Where used facts.json").click()
    expect(run.get_by_role("listitem").filter(has_text="good")).to_contain_text("(this run)")
    picture(run, site, "file")


def noted(client: httpx.Client) -> list[dict[str, Any]] | None:
    """Return the files of the run as soon as they are noted."""
    answer = client.get("/cwl/api/v1/workflows/results/runs/good/lineage").json()
    return list(answer["files"]) if answer["state"] == "noted" else None


def test_files_are_served_so_that_nothing_in_them_runs(site: Server, started: str) -> None:
    with site.client() as client:
        base = f"/cwl/api/v1/workflows/{started}/runs/good"
        for path, inline in (("results/page.html", True), ("plot.svg", True), ("plot.png", False)):
            answer = client.get(f"{base}/files/{path}", params={"inline": inline})
            assert answer.status_code == 200
            assert answer.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["content-disposition"].startswith("inline" if inline else "attachment")
        part = client.get(f"{base}/files/facts.json", headers={"Range": "bytes=1-8"})
        assert (part.status_code, part.text) == (206, '"script"')
        assert (
            client.get(f"{base}/files/facts.json", params={"inline": True})
            .headers["content-disposition"]
            .startswith("attachment")
        )
        for path in ("results/missing", "..%2f..%2fgood", "results"):
            assert client.get(f"{base}/files/{path}").status_code == 404
        everything = client.get(f"{base}/zip")
        assert len(zipfile.ZipFile(io.BytesIO(everything.content)).namelist()) == 257
        assert client.get(f"{base}/zip", params={"path": "../.."}).status_code == 404
    for path in ("zip", "files/facts.json", "logs/make/-1/1/stdout"):
        assert httpx.get(f"{site.url}{base}/{path}").status_code == 401


def test_the_login_leads_back_to_the_page_that_was_asked_for(browser: Browser, site: Server, started: str) -> None:
    page = browser.new_context().new_page()
    address = f"{site.url}/pluginsv2/cwl/run?dag_id={started}&run_id=good"
    page.goto(address)
    page.locator("input[name=username]").fill(site.user)
    page.locator("input[name=password]").fill(site.password)
    page.locator("button[type=submit], input[type=submit]").first.click()
    page.wait_for_url(address, timeout=60_000)
    page.context.close()


@pytest.mark.parametrize("path", ["results/page.html", "plot.svg"])
def test_a_file_that_is_opened_by_itself_runs_nothing_either(
    browser: Browser,
    site: Server,
    started: str,
    path: str,
) -> None:
    context = browser.new_context()
    context.add_cookies([{"name": "_token", "value": site.token(), "url": site.url}])
    opened = context.new_page()
    asked: list[str] = []
    dialogs: list[str] = []
    watch(opened, asked.append)
    opened.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    address = f"{site.url}/cwl/api/v1/workflows/{started}/runs/good/files/{path}?inline=true"
    opened.goto(address, wait_until="load")
    opened.wait_for_load_state("networkidle")
    assert [url for url in asked if not url.startswith((address, "data:"))] == []
    assert (dialogs, opened.title() in ("broken", "1"), len(context.pages)) == ([], False, 1)
    if path.endswith("html"):
        assert opened.evaluate("origin") == "null"
    context.close()


def test_what_a_command_printed_is_kept_after_the_run(show: Any, site: Server, started: str) -> None:
    run = show("good")
    run.get_by_role("link", name="make", exact=True).click()
    expect(run.get_by_label("stdout", exact=True)).to_contain_text("<script>parent")
    expect(run.get_by_label("stderr", exact=True)).to_have_text("warned\n")
    expect(run.get_by_label("Command", exact=True)).to_contain_text("python3 -c")
    picture(run, site, "step")
    assert barriers(run) == []
    with run.expect_download() as download:
        run.get_by_role("link", name="Download stderr").click()
    assert Path(download.value.path()).read_text() == "warned\n"


def test_a_failed_run_says_first_what_failed(show: Any, site: Server) -> None:
    run = show("bad")
    problem = run.get_by_role("alert")
    expect(problem).to_contain_text("check failed with exit code 42")
    expect(problem.get_by_label("Command of check")).to_contain_text("'a text' 42")
    expect(problem.get_by_label("Standard error of check")).to_have_text("it said <b>no</b>")
    expect(problem).to_contain_text("What to do")
    expect(run.locator('#graph [data-node="check"]')).to_have_attribute("data-state", "failed", timeout=30_000)
    picture(run, site, "run-failed")
    assert barriers(run) == []
    run.get_by_role("link", name="Everything about this step").click()
    expect(run.get_by_label("stderr", exact=True)).to_have_text("it said <b>no</b>\n")
    expect(run.get_by_label("stdout", exact=True)).to_have_text("a text\n")


def test_elements_are_looked_at_by_keyboard_on_a_small_screen(show: Any, site: Server) -> None:
    run = show("good")
    run.set_viewport_size({"width": 400, "height": 800})
    assert overflowing(run) == []
    summary = run.get_by_text("2 scatter elements")
    summary.focus()
    run.keyboard.press("Enter")
    link = run.get_by_role("link", name="<i>bob</i>", exact=True)
    expect(link).to_be_visible()
    picture(run, site, "run-small")
    run.get_by_text("CPU and memory over time").press("Enter")
    expect(run.get_by_text("CPU, at most")).to_be_visible()
    assert barriers(run) == []
    link.press("Enter")
    expect(run.get_by_label("stdout", exact=True)).to_have_text("<i>bob</i>\n")


def test_two_runs_are_compared(page: Page, site: Server, started: str) -> None:
    page.goto(f"{site.url}/pluginsv2/cwl/runs?dag_id={started}")
    expect(page.get_by_role("button", name="Compare")).to_be_disabled()
    for run_id in ("good", "bad"):
        page.get_by_role("checkbox", name=f"Choose {run_id} of {started}").press("Space")
    picture(page, site, "runs")
    assert barriers(page) == []
    page.get_by_role("button", name="Compare").press("Enter")
    row = page.get_by_role("region", name="Inputs").get_by_role("row").filter(has_text="code")
    expect(row).to_contain_text("different")
    expect(page.get_by_role("region", name="Inputs").get_by_role("row").filter(has_text="names")).to_contain_text(
        "same"
    )
    picture(page, site, "compare")
    assert barriers(page) == []
