"""Every route of the plugin with the right that it needs. A route that is not here fails ``test_matrix.py``."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from support.cast import API, CONNECTION, INPUTS, LOGIN, OLD, OPEN, READ, RUNS, UPLOAD, VARIABLES

REST, SITE, PAGES, EXPERIMENTAL, TRS, WES = "rest", "site", "pages", "experimental", "trs", "wes"
PREFIXES = {
    REST: API,
    SITE: "/cwl",
    PAGES: "/pluginsv2/cwl",
    EXPERIMENTAL: OLD,
    TRS: "/ga4gh/trs/v2",
    WES: "/ga4gh/wes/v1",
}
_OF_DAG = {TRS: "{id}", WES: "{run_id}"}
"""What names a Dag in the routes of faces that have no dag_id."""
NO_ID = "0" * 32


@dataclass(frozen=True)
class Case:
    """How to call a route so that it gets through and changes nothing.

    ``call`` is filled with ``dag`` and ``run``; where the route would change something, ``missing`` makes the calls of
    those who are allowed go to a Dag that is not there.
    """

    face: str
    method: str
    route: str
    right: str
    query: str = ""
    fills: tuple[tuple[str, str], ...] = ()
    json: Any = None
    missing: bool = False

    @property
    def is_of_dag(self) -> bool:
        return "{dag" in f"{self.route}{self.query}" or _OF_DAG.get(self.face, "{dag") in self.route

    def address(self, dag_id: str, run_id: str) -> str:
        name = wes_id(dag_id, run_id) if self.face == WES else run_id
        values = {"dag_id": dag_id, "run_id": name, "dag": dag_id, "run": run_id, "id": dag_id, **dict(self.fills)}
        return PREFIXES[self.face] + f"{self.route}{self.query}".format(**values)


def wes_id(dag_id: str, run_id: str) -> str:
    """Return the id of a run in WES."""
    return base64.urlsafe_b64encode(f"{dag_id}/{run_id}".encode()).decode().rstrip("=")


_DAG = "/workflows/{dag_id}"
_RUN = f"{_DAG}/runs/{{run_id}}"
_AT = "?dag_id={dag}&run_id={run}"
_NO_JOB = "?dag_id={dag}&run_id=no-such-run&conf=" + quote('{"job":{"no-such-input":1}}')
"""A run that nobody can start."""
_TASK = f"{_AT}&task_id=run"


def _rest(method: str, route: str, right: str, query: str = "", **more: Any) -> Case:
    return Case(REST, method, route, right, query, **more)


def _page(method: str, route: str, right: str, query: str = "", **more: Any) -> Case:
    return Case(PAGES, method, route, right, query, **more)


_LOG = (("task_id", "shown"), ("map_index", "-1"), ("try_number", "1"), ("stream", "stdout"))
_UPLOAD_ID = (("upload_id", NO_ID),)
_PART = (*_UPLOAD_ID, ("number", "1"))
_BATCH_ID = (("batch_id", "0" * 12),)
_PRESET_ID = (("preset_id", NO_ID),)
_CHOICE_ID = (("choice_id", NO_ID),)
_DRAFT_ID = (("draft_id", NO_ID),)
_LATEST = (("version_id", "latest"), ("type", "CWL"))
_TRS_VERSION = "/tools/{id}/versions/{version_id}"
CASES = (
    _rest("GET", "/health", OPEN),
    _rest("GET", "/lineage/{name}", OPEN, fills=(("name", "CwlRunFacet-1-0-0.json"),)),
    Case(SITE, "GET", "/metrics", CONNECTION),
    _rest("GET", "/docs", OPEN),
    _rest("GET", "/docs/swagger-ui-bundle.js", OPEN),
    _rest("GET", "/docs/swagger-ui.css", OPEN),
    _rest("GET", "/openapi.json", OPEN),
    _rest("GET", "/workflows", LOGIN),
    _rest("POST", "/workflows", UPLOAD),
    _rest("POST", "/workflows/import", UPLOAD, json={"url": "nowhere"}),
    _rest("GET", "/service", OPEN),
    _rest("GET", "/uploads/{upload_id}", LOGIN, fills=_UPLOAD_ID),
    _rest("GET", _DAG, READ),
    _rest("GET", f"{_DAG}/source", READ),
    _rest("DELETE", _DAG, UPLOAD, missing=True),
    _rest("POST", f"{_DAG}/recompile", UPLOAD, missing=True),
    _rest("POST", f"{_DAG}/current", UPLOAD, json={"version": "no-such-version"}, missing=True),
    _rest("POST", f"{_DAG}/restore", UPLOAD, missing=True),
    _rest("GET", f"{_DAG}/schedule", READ),
    _rest("PUT", f"{_DAG}/schedule", RUNS),
    _rest("DELETE", f"{_DAG}/schedule", RUNS),
    _rest("POST", f"{_DAG}/schedule/pause", RUNS),
    _rest("GET", f"{_DAG}/schedule/folder", RUNS),
    _rest("POST", f"{_DAG}/schedule/folder/preview", RUNS),
    _rest("POST", f"{_DAG}/schedule/folder/again", RUNS),
    _rest("GET", f"{_DAG}/presets", RUNS),
    _rest("POST", f"{_DAG}/presets", RUNS),
    _rest("GET", f"{_DAG}/presets/{{preset_id}}", RUNS, fills=_PRESET_ID),
    _rest("PATCH", f"{_DAG}/presets/{{preset_id}}", RUNS, fills=_PRESET_ID),
    _rest("DELETE", f"{_DAG}/presets/{{preset_id}}", RUNS, fills=_PRESET_ID),
    _rest("GET", f"{_DAG}/presets/{{preset_id}}/job", RUNS, fills=_PRESET_ID),
    _rest("GET", f"{_DAG}/sample-sheet", READ),
    _rest("POST", f"{_DAG}/batches", RUNS),
    _rest("GET", f"{_DAG}/batches", READ),
    _rest("GET", f"{_DAG}/batches/{{batch_id}}", READ, fills=_BATCH_ID),
    _rest("POST", f"{_DAG}/batches/{{batch_id}}/stop", RUNS, fills=_BATCH_ID),
    _rest("POST", f"{_DAG}/batches/{{batch_id}}/retry", RUNS, fills=_BATCH_ID),
    _rest("GET", f"{_DAG}/batches/{{batch_id}}/outputs", READ, fills=_BATCH_ID),
    _rest("GET", f"{_DAG}/batches/{{batch_id}}/zip", READ, fills=_BATCH_ID),
    _rest("GET", f"{_DAG}/approvals", READ),
    _rest("PUT", f"{_DAG}/approvals", UPLOAD, json={"steps": []}),
    _rest("POST", f"{_DAG}/runs", RUNS),
    _rest("POST", f"{_DAG}/secondary-files", RUNS),
    _rest("GET", "/runs", READ, "?dag_id={dag}"),
    _rest("GET", _RUN, READ),
    _rest("GET", f"{_RUN}/outputs", READ),
    _rest("GET", f"{_RUN}/files", READ),
    _rest("GET", f"{_RUN}/files/{{path}}", READ, fills=(("path", "out.txt"),)),
    _rest("HEAD", f"{_RUN}/files/{{path}}", READ, fills=(("path", "out.txt"),)),
    _rest("GET", f"{_RUN}/zip", READ),
    _rest("GET", f"{_RUN}/lineage", READ),
    _rest("GET", f"{_RUN}/crate", READ),
    _rest("GET", f"{_RUN}/report", READ),
    _rest("GET", f"{_RUN}/input-file", READ, "?place=text"),
    _rest("HEAD", f"{_RUN}/input-file", READ, "?place=text"),
    _rest("GET", f"{_RUN}/logs/{{task_id}}/{{map_index}}/{{try_number}}/{{stream}}", READ, fills=_LOG),
    _rest("GET", f"{_RUN}/reports", READ),
    _rest("PATCH", _RUN, RUNS, json={}),
    _rest("POST", f"{_RUN}/stop", RUNS),
    _rest("POST", f"{_RUN}/again", RUNS, fills=(("run_id", "no-such-run"),)),
    _rest("GET", f"{_RUN}/continue", READ),
    _rest("POST", f"{_RUN}/continue", RUNS),
    _rest("GET", f"{_RUN}/fix", READ),
    _rest("POST", f"{_RUN}/fix", RUNS),
    _rest("GET", f"{_RUN}/resources", READ),
    _rest("POST", "/crates", UPLOAD),
    _rest("POST", "/inputs", INPUTS, "?name=x"),
    _rest("POST", "/inputs/visible", INPUTS),
    _rest("GET", "/inputs/browse", INPUTS),
    _rest("POST", "/inputs/parts", INPUTS, "?name=x&size=1"),
    _rest("GET", "/inputs/parts/{upload_id}", INPUTS, fills=_UPLOAD_ID),
    _rest("PUT", "/inputs/parts/{upload_id}", INPUTS, "?offset=0", fills=_UPLOAD_ID),
    _rest("DELETE", "/inputs/parts/{upload_id}", INPUTS, fills=_UPLOAD_ID),
    _rest("POST", "/inputs/stored", INPUTS, "?name=x&size=1"),
    _rest("GET", "/inputs/stored/{upload_id}", INPUTS, fills=_UPLOAD_ID),
    _rest("POST", "/inputs/stored/{upload_id}/parts/{number}", INPUTS, fills=_PART),
    _rest("PUT", "/inputs/stored/{upload_id}/parts/{number}", INPUTS, fills=_PART),
    _rest("POST", "/inputs/stored/{upload_id}/complete", INPUTS, fills=_UPLOAD_ID),
    _rest("DELETE", "/inputs/stored/{upload_id}", INPUTS, fills=_UPLOAD_ID),
    _rest("GET", "/reports", CONNECTION),
    _rest("GET", "/reports/waiting", CONNECTION),
    _rest("POST", "/reports/test", CONNECTION),
    _rest("POST", "/reports/retry", CONNECTION),
    _rest("GET", "/retention", CONNECTION),
    _rest("GET", "/retention/removable", CONNECTION),
    _rest("POST", "/retention/clean", CONNECTION),
    _rest("POST", "/retention/measure", CONNECTION),
    _rest("POST", "/keys", VARIABLES, json={"algorithm": "none"}),
    _rest("GET", "/notifications", LOGIN),
    _rest("POST", "/notifications", LOGIN, json={"channel": "none", "events": []}),
    _rest("DELETE", "/notifications/{choice_id}", LOGIN, fills=_CHOICE_ID),
    Case(EXPERIMENTAL, "GET", "/test", OPEN),
    Case(EXPERIMENTAL, "GET", "/openapi.json", OPEN),
    Case(EXPERIMENTAL, "POST", "/dags/{dag_id}/dag_runs", RUNS),
    Case(EXPERIMENTAL, "GET", "/dags/{dag_id}/dag_runs", READ),
    Case(TRS, "GET", "/service-info", OPEN),
    Case(TRS, "GET", "/openapi.json", OPEN),
    Case(TRS, "GET", "/toolClasses", OPEN),
    Case(TRS, "GET", "/tools", LOGIN),
    Case(TRS, "GET", "/tools/{id}", READ),
    Case(TRS, "GET", "/tools/{id}/versions", READ),
    Case(TRS, "GET", _TRS_VERSION, READ, fills=_LATEST),
    Case(TRS, "GET", f"{_TRS_VERSION}/containerfile", READ, fills=_LATEST),
    Case(TRS, "GET", f"{_TRS_VERSION}/{{type}}/descriptor", READ, fills=_LATEST),
    Case(
        TRS,
        "GET",
        f"{_TRS_VERSION}/{{type}}/descriptor/{{relative_path}}",
        READ,
        fills=(*_LATEST, ("relative_path", "none.cwl")),
    ),
    Case(TRS, "GET", f"{_TRS_VERSION}/{{type}}/tests", READ, fills=_LATEST),
    Case(TRS, "GET", f"{_TRS_VERSION}/{{type}}/files", READ, fills=_LATEST),
    Case(TRS, "HEAD", f"{_TRS_VERSION}/{{type}}/files", READ, fills=_LATEST),
    Case(EXPERIMENTAL, "GET", "/dags", LOGIN),
    Case(EXPERIMENTAL, "POST", "/dags", UPLOAD),
    Case(EXPERIMENTAL, "GET", "/dags/{dag_id}", READ),
    Case(EXPERIMENTAL, "POST", "/dags/dag_runs", RUNS, _NO_JOB),
    Case(EXPERIMENTAL, "GET", "/dag_runs", READ, "?dag_id={dag}"),
    Case(EXPERIMENTAL, "POST", "/dag_runs", RUNS, _NO_JOB),
    Case(EXPERIMENTAL, "POST", "/clean_dag_runs", RUNS, "?dag_id={dag}&run_id=no-such-run"),
    Case(EXPERIMENTAL, "GET", "/wes/service-info", OPEN),
    Case(EXPERIMENTAL, "GET", "/wes/runs", LOGIN),
    Case(EXPERIMENTAL, "GET", "/wes/runs/{run_id}", LOGIN),
    Case(EXPERIMENTAL, "GET", "/wes/runs/{run_id}/status", LOGIN),
    Case(WES, "GET", "/service-info", OPEN),
    Case(WES, "GET", "/auth-instructions", OPEN),
    Case(WES, "GET", "/openapi.json", OPEN),
    Case(WES, "GET", "/runs", LOGIN),
    Case(WES, "POST", "/runs", INPUTS),
    Case(WES, "GET", "/runs/{run_id}", READ),
    Case(WES, "GET", "/runs/{run_id}/status", READ),
    Case(WES, "GET", "/runs/{run_id}/tasks", READ),
    Case(WES, "GET", "/runs/{run_id}/tasks/{task_id}", READ, fills=(("task_id", "shown"),)),
    Case(WES, "GET", "/runs/{run_id}/tasks/{task_id}/{stream}", READ, fills=_LOG),
    Case(WES, "GET", "/runs/{run_id}/stdout", READ),
    Case(WES, "GET", "/runs/{run_id}/stderr", READ),
    Case(WES, "GET", "/runs/{run_id}/outputs/{path}", READ, fills=(("path", "out.txt"),)),
    Case(WES, "HEAD", "/runs/{run_id}/outputs/{path}", READ, fills=(("path", "out.txt"),)),
    Case(WES, "GET", "/runs/{run_id}/ro-crate", READ),
    Case(WES, "POST", "/runs/{run_id}/cancel", RUNS),
    _page("GET", "/", LOGIN),
    _page("GET", "/workflows", LOGIN),
    _page("POST", "/workflows", UPLOAD),
    _page("GET", "/imports", UPLOAD),
    _page("POST", "/imports", UPLOAD),
    _page("POST", "/examples/{name}", UPLOAD, fills=(("name", "no-such-example"),)),
    _page("GET", "/uploads/{upload_id}", LOGIN, fills=_UPLOAD_ID),
    _page("GET", _DAG, READ),
    _page("GET", f"{_DAG}/graph", READ),
    _page("GET", f"{_DAG}/source", READ),
    _page("GET", f"{_DAG}/versions", READ),
    _page("GET", f"{_DAG}/download", READ),
    _page("POST", f"{_DAG}/delete", UPLOAD, missing=True),
    _page("POST", f"{_DAG}/current", UPLOAD),
    _page("POST", f"{_DAG}/approvals", UPLOAD),
    _page("POST", f"{_DAG}/restore", UPLOAD, missing=True),
    _page("GET", f"{_DAG}/batches", READ),
    _page("POST", f"{_DAG}/batches/sheets", RUNS),
    _page("GET", f"{_DAG}/batches/sheets/{{draft_id}}", RUNS, fills=_DRAFT_ID),
    _page("POST", f"{_DAG}/batches/sheets/{{draft_id}}", RUNS, fills=_DRAFT_ID),
    _page("POST", f"{_DAG}/batches/sheets/{{draft_id}}/remove", RUNS, fills=_DRAFT_ID),
    _page("GET", f"{_DAG}/batches/{{batch_id}}", READ, fills=_BATCH_ID),
    _page("GET", f"{_DAG}/batches/{{batch_id}}/outputs", READ, fills=_BATCH_ID),
    _page("POST", f"{_DAG}/batches/{{batch_id}}/retry", RUNS, fills=_BATCH_ID),
    _page("POST", f"{_DAG}/batches/{{batch_id}}/stop", RUNS, fills=_BATCH_ID),
    _page("GET", f"{_DAG}/presets", RUNS),
    _page("POST", f"{_DAG}/presets", RUNS),
    _page("POST", f"{_DAG}/presets/import", RUNS),
    _page("POST", f"{_DAG}/presets/{{preset_id}}", RUNS, fills=_PRESET_ID),
    _page("POST", f"{_DAG}/presets/{{preset_id}}/edit", RUNS, fills=_PRESET_ID),
    _page("POST", f"{_DAG}/presets/{{preset_id}}/delete", RUNS, fills=_PRESET_ID),
    _page("GET", f"{_DAG}/schedule", READ),
    _page("POST", f"{_DAG}/schedule", RUNS),
    _page("POST", f"{_DAG}/schedule/pause", RUNS),
    _page("POST", f"{_DAG}/schedule/remove", RUNS),
    _page("POST", f"{_DAG}/schedule/preview", RUNS),
    _page("POST", f"{_DAG}/schedule/folder", RUNS),
    _page("GET", f"{_DAG}/run", RUNS),
    _page("POST", f"{_DAG}/run", RUNS),
    _page("POST", f"{_DAG}/run/convert", RUNS),
    _page("POST", "/again", RUNS, "?dag_id={dag}&run_id=no-such-run"),
    _page("POST", "/run/continue", RUNS, "?dag_id={dag}&run_id=no-such-run"),
    _page("GET", "/run/fix", RUNS, _AT),
    _page("POST", "/run/fix", RUNS, "?dag_id={dag}&run_id=no-such-run"),
    _page("POST", "/run/fix/upload", UPLOAD, "?dag_id={dag}&run_id=no-such-run"),
    _page("GET", "/run/step/inputs", READ, _TASK),
    _page("GET", "/run/resources", READ, _AT),
    _page("GET", "/runs", LOGIN),
    _page("GET", "/compare", READ, "?run={dag}/{run}&run={dag}/{run}"),
    _page("GET", "/run", READ, _AT),
    _page("GET", "/tab/dag", READ, "?dag_id={dag}"),
    _page("GET", "/tab/task", READ, _TASK),
    _page("GET", "/run/step", READ, _TASK),
    _page("GET", "/run/end", READ, _AT),
    _page("GET", "/run/log", READ, f"{_TASK}&stream=stdout"),
    _page("GET", "/run/log/search", READ, f"{_TASK}&stream=stdout&words=x"),
    _page("GET", "/run/elements", READ, _TASK),
    _page("GET", "/run/outputs", READ, _AT),
    _page("GET", "/run/inputs", READ, _AT),
    _page("GET", "/run/preview", READ, f"{_AT}&path=out.txt"),
    _page("GET", "/run/search", READ, f"{_AT}&path=out.txt&words=x"),
    _page("GET", "/run/pictures", READ, _AT),
    _page("GET", "/run/file", READ, f"{_AT}&path=out.txt"),
    _page("GET", "/run/usage", READ, _AT),
    _page("POST", "/run/label", RUNS, _AT),
    _page("POST", "/stop", RUNS, _AT),
    _page("GET", "/stop/progress", READ, _AT),
    _page("GET", "/runs/{dag_id}/{run_id}/reports", READ),
    _page("GET", "/notifications", LOGIN),
    _page("POST", "/notifications", LOGIN),
    _page("POST", "/notifications/{choice_id}/remove", LOGIN, fills=_CHOICE_ID),
    _page("POST", "/notifications/{choice_id}/test", LOGIN, fills=_CHOICE_ID),
    _page("GET", "/settings", CONNECTION),
    _page("POST", "/settings/connection", CONNECTION),
    _page("POST", "/settings/report-key", VARIABLES),
    _page("POST", "/settings/trigger-key", VARIABLES),
    _page("POST", "/settings/signing-key", VARIABLES),
    _page("POST", "/settings/remove/{name}", CONNECTION, fills=(("name", "connection"),)),
    _page("POST", "/settings/keys", VARIABLES),
    _page("POST", "/settings/check", VARIABLES),
    _page("POST", "/settings/test", CONNECTION),
    _page("POST", "/settings/retry", CONNECTION),
    _page("POST", "/settings/retention/{what}", CONNECTION, fills=(("what", "look"),)),
)


def rest_routes() -> Iterator[tuple[str, str, str]]:
    """Return face, method and route of the FastAPI apps; also those that no OpenAPI document has."""
    from cwl_ui_plugin.addresses import REST_BELOW
    from cwl_ui_plugin.api import experimental, rest
    from cwl_ui_plugin.api.trs import app as trs
    from cwl_ui_plugin.api.wes import app as wes

    apps = (
        (REST, rest.app(), REST_BELOW),
        (EXPERIMENTAL, experimental.app(), ""),
        (TRS, trs.app(), ""),
        (WES, wes.app(), ""),
    )
    for app_face, app, prefix in apps:
        for route in app.routes:
            whole = getattr(route, "path", "")
            face = SITE if app_face == REST and not whole.startswith(REST_BELOW) else app_face
            path = whole.removeprefix(prefix).replace(":path}", "}")
            for method in getattr(route, "methods", None) or ("MOUNT",):
                if not (method == "HEAD" and path in ("/openapi.json",)):
                    yield face, method, path


def page_routes(app: Any) -> Iterator[tuple[str, str, str]]:
    """Return face, method and route of the pages; converters (``<path:run_id>``) are left out."""
    import re

    for rule in app.url_map.iter_rules():
        if (rule.rule == "/cwl" or rule.rule.startswith("/cwl/")) and rule.endpoint not in ("cwl.static", "cwl.asset"):
            route = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule.removeprefix("/cwl"))
            for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
                yield PAGES, method, route
