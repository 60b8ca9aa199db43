"""Scripts in everything that users and commands write, shown in a real Chromium: none of them ever runs."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import quote

import httpx
import pytest
from playwright.sync_api import Browser, Frame, Page
from support.airflow_server import wait_for
from support.browsers import frame
from support.cast import API, VIEWS, Site

pytestmark = [pytest.mark.e2e, pytest.mark.again("with the other auth manager", variant="simple")]
HOSTILE, FAILING = "hostile", "hostile-and-failing"
RUNS = "window.top.pwned=window.pwned=1;alert(1)"
IMAGE = f'<img src=x onerror="{RUNS}">'
# The product is so long that no time, id or count has its digits by chance.
EVIL = (
    f"\"'></script></textarea></title>--><script>{RUNS}</script>{IMAGE}<svg onload='{RUNS}'>"
    "{{31337*31337}}${31337*31337}"
)
MARKDOWN = f"[click](javascript:{RUNS}) <a href='javascript:{RUNS}'>x</a> ![x](x\"onerror=\"{RUNS}) <javascript:{RUNS}>"
FILE_NAME = f"<img src=x onerror={RUNS}>"
HTML = f"<!doctype html><title>x</title><h1>shown</h1><script>{RUNS}</script>{IMAGE}<iframe srcdoc='{IMAGE}'></iframe>"
SVG = f'<svg xmlns="http://www.w3.org/2000/svg" onload="{RUNS}"><script>{RUNS}</script><circle r="9"/></svg>'
PDF = (
    "%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R/OpenAction<</S/JavaScript/JS(app.alert\\(1\\))>>>>endobj\n"
    "2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>endobj\n"
    "trailer<</Root 1 0 R>>\n"
)
FILES = {
    "page.html": HTML,
    "page.htm": HTML,
    "page.xhtml": HTML,
    "image.svg": SVG,
    "image.png": HTML,
    "image.gif": f"GIF89a/*{HTML}",
    "paper.pdf": PDF,
    "table.csv": f'"{EVIL}",b\n{IMAGE},{EVIL}\n',
    "table.tsv": f"{IMAGE}\t{EVIL}\n",
    "data.json": json.dumps({EVIL: [EVIL, {IMAGE: EVIL}]}),
    "text.txt": EVIL,
    "script.js": RUNS,
    "style.css": f"body{{background:url(javascript:{RUNS})}}",
    "page.html.txt": HTML,
    "noext": HTML,
    "feed.xml": f'<?xml version="1.0"?><x:script xmlns:x="http://www.w3.org/1999/xhtml">{RUNS}</x:script>',
    f"{FILE_NAME}.txt": EVIL,
    f"{FILE_NAME}.html": HTML,
}


@dataclass
class Stage:
    """A page of a user, and what ran there that must not."""

    page: Page
    dialogs: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)

    def ran(self) -> list[str]:
        found = [frame.url for frame in self.page.frames if is_pwned(frame)]
        return found + self.dialogs + self.elsewhere


def is_pwned(frame: Frame) -> bool:
    try:
        return bool(frame.evaluate("() => 'pwned' in window || 'pwned' in document"))
    except Exception as error:  # a frame that has gone, or a sandbox without scripts: nothing ran in it
        if re.search("detached|navigat|destroyed|closed|sandbox", str(error), re.IGNORECASE):
            return False
        raise


def literally(text: str) -> str:
    """Return what CWL does not take for an expression."""
    return text.replace("\\", "\\\\").replace("$", "\\$")


def document(kind: str) -> str:
    """A workflow whose every text is hostile; its second step fails in :data:`FAILING`."""
    entries = [{"entryname": name, "entry": literally(content)} for name, content in FILES.items()]
    files = {"class": "InitialWorkDirRequirement", "listing": entries}
    said = {"label": EVIL, "doc": f"{EVIL}\n\n{MARKDOWN}"}
    shell = {"class": "CommandLineTool", "cwlVersion": "v1.2", **said, "inputs": {"text": {"type": "string", **said}}}
    line = f'printf \'%s\\n\' "$0" "$0" >&2; printf \'%s\\n\' "$0"; {"exit 3" if kind == FAILING else "true"}'
    writer = {
        **shell,
        "requirements": [files],
        "baseCommand": ["sh", "-c", line],
        "arguments": [{"position": 0, "valueFrom": literally(EVIL)}],
        "stdout": "said.txt",
        "outputs": {"files": {"type": "File[]", "outputBinding": {"glob": "*"}, **said}},
    }
    return json.dumps(
        {
            "cwlVersion": "v1.2",
            "class": "Workflow",
            **said,
            "inputs": {
                "text": {"type": "string", "default": EVIL, **said},
                "choice": {"type": ["null", {"type": "enum", "symbols": ["a", FILE_NAME.replace(" ", "")]}], **said},
                "many": {"type": "string[]?", "default": [EVIL, IMAGE], **said},
                "file": {"type": "File?", "format": f"http://x/{quote(IMAGE)}", **said},
            },
            "outputs": {"all": {"type": "File[]", "outputSource": "writes/files", **said}},
            "steps": {"writes": {"run": writer, "in": {"text": "text"}, "out": ["files"], **said}},
        }
    )


@pytest.fixture(scope="module")
def hostile(site: Site) -> dict[str, str]:
    """Two workflows and a run of each: one succeeds, the other fails; both have a note."""
    runs = {}
    with site.client() as admin:
        for kind in (HOSTILE, FAILING):
            name = f"{kind}{FILE_NAME}.cwl"
            sent = {"files": (name, document(kind))}
            answer = admin.post(f"{API}/workflows", files=sent, data={"dag_id": kind})
            assert answer.status_code == 201, answer.text[:3000]
            runs[kind] = f"~{kind}.{uuid.uuid4().hex[:6]}"
            assert site.trigger("the-user", kind, runs[kind], {"text": EVIL, "many": [EVIL]}).status_code == 201
        for kind, expected in ((HOSTILE, "success"), (FAILING, "failed")):
            run = site.server.wait_for_run(admin, kind, runs[kind])
            assert run["state"] == expected, run["error"]
            wait_for(lambda kind=kind: is_noted(admin, kind, runs[kind]), 60, "the note of the run")
    return runs


def is_noted(admin: httpx.Client, dag_id: str, run_id: str) -> bool:
    """Give a run a note; on SQLite, Airflow answers 500 where somebody else writes for long."""
    answer = admin.patch(f"/api/v2/dags/{dag_id}/dagRuns/{run_id}", json={"note": EVIL})
    assert answer.is_success or answer.status_code == 500, answer.text
    return answer.is_success


@pytest.fixture
def stage(site: Site, browser: Browser) -> Iterator[Stage]:
    context = browser.new_context(viewport={"width": 1400, "height": 1000}, accept_downloads=True)
    context.add_cookies([{"name": "_token", "value": site.tokens["admin"], "url": site.server.url}])
    made = Stage(context.new_page())

    def heard(dialog: object) -> None:
        made.dialogs.append(f"a dialog at {made.page.url}")
        dialog.dismiss()  # type: ignore[attr-defined]

    def asked(url: str) -> None:
        if not url.startswith((site.server.url, "data:", "blob:", "about:", "chrome:", "chrome-extension:")):
            made.elsewhere.append(f"a request to {url}")

    context.on("page", lambda page: page.on("dialog", heard))
    made.page.on("dialog", heard)
    made.page.on("request", lambda request: asked(request.url))
    yield made
    context.close()


def pages(kind: str, run_id: str) -> list[str]:
    run = f"dag_id={kind}&run_id={quote(run_id)}"
    return [
        *("/workflows", f"/workflows?search={quote(EVIL)}", f"/workflows/{kind}", f"/workflows/{kind}/source"),
        *(f"/workflows/{kind}/versions", f"/workflows/{kind}/run", f"/workflows/{kind}/run?from_run={quote(run_id)}"),
        *(f"/workflows/{kind}/run?job={quote(json.dumps({'text': EVIL}))}", "/runs", f"/runs?text={quote(EVIL)}"),
        *(f"/run?{run}", f"/run/step?{run}&task_id=writes", f"/run/outputs?{run}", f"/run/usage?{run}"),
        *(f"/run/elements?{run}&task_id=writes", f"/runs/{kind}/{quote(run_id)}/reports"),
        *(f"/compare?run={kind}/{quote(run_id)}&run={kind}/{quote(run_id)}", f"/workflows/{quote(EVIL)}"),
        *(
            f"/uploads/{quote(EVIL)}",
            "/settings",
            f"/settings?saved={quote(EVIL)}",
            f"/workflows?deleted={quote(EVIL)}",
        ),
    ]


BUTTONS = "button[type=button]:not([title^='Print'])"
"""Without a window nobody ends the dialog of a printer, and the page is never idle; see the tests of the graph."""


def settle(page: Page) -> None:
    """Let the scripts of the page do all they do at its beginning, and open what is closed."""
    page.wait_for_load_state("networkidle")
    page.evaluate("() => document.querySelectorAll('details').forEach((item) => { item.open = true })")
    page.wait_for_load_state("networkidle")


def test_no_text_becomes_a_script(site: Site, stage: Stage, hostile: dict[str, str]) -> None:
    for kind, run_id in hostile.items():
        for path in pages(kind, run_id):
            answer = stage.page.goto(f"{site.server.url}{VIEWS}{path}")
            assert answer is not None
            assert answer.status < 500, path
            settle(stage.page)
            assert stage.ran() == [], path
            assert "982007569" not in stage.page.content(), f"{path}: an expression was evaluated"


def test_what_a_click_brings_runs_nothing(site: Site, stage: Stage, hostile: dict[str, str]) -> None:
    """The graph's details, the form as fields and as text, the menus."""
    kind, run_id = HOSTILE, hostile[HOSTILE]
    for path in (f"/workflows/{kind}", f"/run?dag_id={kind}&run_id={quote(run_id)}", f"/workflows/{kind}/run"):
        stage.page.goto(f"{site.server.url}{VIEWS}{path}")
        settle(stage.page)
        for selector in ("#graph svg [tabindex]", "summary", BUTTONS, "[role=tab]"):
            for item in stage.page.locator(selector).all()[:12]:
                if item.is_visible() and item.is_enabled():
                    item.click(timeout=5000, force=True)
                    stage.page.keyboard.press("Escape")
        stage.page.wait_for_load_state("networkidle")
        assert stage.ran() == [], path
    links = stage.page.locator("a[href^='javascript:' i], a[href^='data:' i], a[href^='vbscript:' i]")
    assert links.count() == 0


def test_no_output_runs_where_it_is_shown(site: Site, stage: Stage, hostile: dict[str, str]) -> None:
    run = f"dag_id={HOSTILE}&run_id={quote(hostile[HOSTILE])}"
    files = f"{site.server.url}{API}/workflows/{HOSTILE}/runs/{quote(hostile[HOSTILE])}/files"
    for name in FILES:
        stage.page.goto(f"{site.server.url}{VIEWS}/run/preview?{run}&path={quote(name)}")
        settle(stage.page)
        assert stage.ran() == [], f"preview of {name}"
        for shown in stage.page.locator("iframe").all():
            sandbox = shown.get_attribute("sandbox")
            assert sandbox is None or "allow-scripts" not in sandbox or "allow-same-origin" not in sandbox, name
        with site.client() as client:
            for query in ("?inline=true", ""):
                headers = client.get(f"{files}/{quote(name)}{query}").headers
                assert headers["x-content-type-options"] == "nosniff", name
                assert "sandbox" in headers["content-security-policy"], name
                assert "allow-scripts" not in headers["content-security-policy"], name
                if not query:
                    assert headers["content-disposition"].startswith("attachment"), name
        try:
            stage.page.goto(f"{files}/{quote(name)}?inline=true")
            settle(stage.page)
        except Exception as error:
            assert re.search("Download is starting|ERR_ABORTED", str(error)), error
        assert stage.ran() == [], f"{name} by itself"


def test_nothing_runs_in_the_frame_of_airflow(site: Site, stage: Stage, hostile: dict[str, str]) -> None:
    """Where the pages are shown in Airflow's own, with its origin: the list, and the tab of a run."""
    for kind, run_id in hostile.items():
        for path in ("/plugin/cwl", f"/dags/{kind}/runs/{quote(run_id)}/plugin/cwl_run", f"/dags/{kind}"):
            stage.page.goto(f"{site.server.url}{path}")
            stage.page.wait_for_load_state("networkidle")
            if "plugin" in path:
                frame(stage.page).get_by_role("heading", level=1).first.wait_for(timeout=60_000)
            assert stage.ran() == [], path


def test_a_refused_document_shows_its_text_as_text(site: Site, stage: Stage) -> None:
    key = f"? {json.dumps(EVIL)}\n: {json.dumps(IMAGE)}\n"
    broken = f"cwlVersion: v1.2\nclass: CommandLineTool\n{key}inputs: {json.dumps(EVIL)}\n"
    with site.browser() as admin:
        name = f"broken{FILE_NAME}.cwl"
        sent = {"files": (name, broken)}
        answer = site.post_form(admin, "/workflows", {"dag_id": "broken"}, files=sent, follow_redirects=False)
        address = answer.headers.get("location") or answer.json()["url"]
    stage.page.goto(str(httpx.URL(site.server.url).join(address)))
    stage.page.get_by_text("not valid", exact=False).first.wait_for(timeout=90_000)
    settle(stage.page)
    assert stage.ran() == []


def test_airflow_does_not_lead_elsewhere_after_a_login(site: Site) -> None:
    with site.client("nobody", follow_redirects=False) as nobody, site.browser(follow_redirects=False) as admin:
        for target in (
            "https://evil.example.org/",
            "//evil.example.org/",
            "/\\evil.example.org",
            "javascript:alert(1)",
        ):
            asked = (
                f"{VIEWS}/workflows?next={quote(target)}",
                f"{VIEWS}/{quote(target, safe='')}",
                f"{VIEWS}//{target.removeprefix('https://').strip('/')}",
                f"{VIEWS}/settings?saved={quote(target)}",
            )
            for path in asked:
                for client in (nobody, admin):
                    location = client.get(path).headers.get("location", "/")
                    host = httpx.URL(site.server.url).join(location).host
                    assert host == httpx.URL(site.server.url).host, (path, location)
        for name in ("retry", "remove/connection"):
            fields = {"of_run": "1", "dag_id": "//evil.example.org", "run_id": "x", "next": "//evil.example.org"}
            location = site.post_form(admin, f"/settings/{name}", fields).headers.get("location", "/")
            assert httpx.URL(site.server.url).join(location).host == httpx.URL(site.server.url).host
