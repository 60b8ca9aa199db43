"""Every route of the plugin with the right that it needs. A route that is not here fails ``test_matrix.py``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from support.cast import API, CONNECTION, INPUTS, LOGIN, OLD, OPEN, READ, RUNS, UPLOAD, VARIABLES

REST, PAGES, EXPERIMENTAL = "rest", "pages", "experimental"
PREFIXES = {REST: API, PAGES: "/pluginsv2/cwl", EXPERIMENTAL: OLD}
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
        return "{dag" in f"{self.route}{self.query}"

    def address(self, dag_id: str, run_id: str) -> str:
        values = {"dag_id": dag_id, "run_id": run_id, "dag": dag_id, "run": run_id, **dict(self.fills)}
        return PREFIXES[self.face] + f"{self.route}{self.query}".format(**values)


_DAG = "/workflows/{dag_id}"
_RUN = f"{_DAG}/runs/{{run_id}}"
_AT = "?dag_id={dag}&run_id={run}"
_TASK = f"{_AT}&task_id=run"


def _rest(method: str, route: str, right: str, query: str = "", **more: Any) -> Case:
    return Case(REST, method, route, right, query, **more)


def _page(method: str, route: str, right: str, query: str = "", **more: Any) -> Case:
    return Case(PAGES, method, route, right, query, **more)


_LOG = (("task_id", "shown"), ("map_index", "-1"), ("try_number", "1"), ("stream", "stdout"))
_UPLOAD_ID = (("upload_id", NO_ID),)
CASES = (
    _rest("GET", "/health", OPEN),
    _rest("GET", "/docs", OPEN),
    _rest("GET", "/docs/swagger-ui-bundle.js", OPEN),
    _rest("GET", "/docs/swagger-ui.css", OPEN),
    _rest("GET", "/openapi.json", OPEN),
    _rest("GET", "/workflows", LOGIN),
    _rest("POST", "/workflows", UPLOAD),
    _rest("GET", "/uploads/{upload_id}", LOGIN, fills=_UPLOAD_ID),
    _rest("GET", _DAG, READ),
    _rest("GET", f"{_DAG}/source", READ),
    _rest("DELETE", _DAG, UPLOAD, missing=True),
    _rest("POST", f"{_DAG}/recompile", UPLOAD, missing=True),
    _rest("POST", f"{_DAG}/runs", RUNS),
    _rest("POST", f"{_DAG}/secondary-files", RUNS),
    _rest("GET", "/runs", READ, "?dag_id={dag}"),
    _rest("GET", _RUN, READ),
    _rest("GET", f"{_RUN}/outputs", READ),
    _rest("GET", f"{_RUN}/files", READ),
    _rest("GET", f"{_RUN}/files/{{path}}", READ, fills=(("path", "out.txt"),)),
    _rest("HEAD", f"{_RUN}/files/{{path}}", READ, fills=(("path", "out.txt"),)),
    _rest("GET", f"{_RUN}/zip", READ),
    _rest("GET", f"{_RUN}/logs/{{task_id}}/{{map_index}}/{{try_number}}/{{stream}}", READ, fills=_LOG),
    _rest("GET", f"{_RUN}/reports", READ),
    _rest("POST", f"{_RUN}/stop", RUNS),
    _rest("POST", "/inputs", INPUTS, "?name=x"),
    _rest("POST", "/inputs/visible", INPUTS),
    _rest("GET", "/inputs/browse", INPUTS),
    _rest("POST", "/inputs/parts", INPUTS, "?name=x&size=1"),
    _rest("GET", "/inputs/parts/{upload_id}", INPUTS, fills=_UPLOAD_ID),
    _rest("PUT", "/inputs/parts/{upload_id}", INPUTS, "?offset=0", fills=_UPLOAD_ID),
    _rest("GET", "/reports", CONNECTION),
    _rest("GET", "/reports/waiting", CONNECTION),
    _rest("POST", "/reports/test", CONNECTION),
    _rest("POST", "/reports/retry", CONNECTION),
    _rest("GET", "/retention", CONNECTION),
    _rest("GET", "/retention/removable", CONNECTION),
    _rest("POST", "/retention/clean", CONNECTION),
    _rest("POST", "/retention/measure", CONNECTION),
    _rest("POST", "/keys", VARIABLES, json={"algorithm": "none"}),
    Case(EXPERIMENTAL, "GET", "/test", OPEN),
    Case(EXPERIMENTAL, "GET", "/openapi.json", OPEN),
    Case(EXPERIMENTAL, "POST", "/dags/{dag_id}/dag_runs", RUNS),
    Case(EXPERIMENTAL, "GET", "/dags/{dag_id}/dag_runs", READ),
    _page("GET", "/", LOGIN),
    _page("GET", "/workflows", LOGIN),
    _page("POST", "/workflows", UPLOAD),
    _page("POST", "/examples/{name}", UPLOAD, fills=(("name", "no-such-example"),)),
    _page("GET", "/uploads/{upload_id}", LOGIN, fills=_UPLOAD_ID),
    _page("GET", _DAG, READ),
    _page("GET", f"{_DAG}/graph", READ),
    _page("GET", f"{_DAG}/source", READ),
    _page("GET", f"{_DAG}/versions", READ),
    _page("GET", f"{_DAG}/download", READ),
    _page("POST", f"{_DAG}/delete", UPLOAD, missing=True),
    _page("POST", f"{_DAG}/current", UPLOAD),
    _page("POST", f"{_DAG}/restore", UPLOAD, missing=True),
    _page("GET", f"{_DAG}/run", RUNS),
    _page("POST", f"{_DAG}/run", RUNS),
    _page("POST", f"{_DAG}/run/convert", RUNS),
    _page("POST", "/again", RUNS, "?dag_id={dag}&run_id=no-such-run"),
    _page("GET", "/runs", LOGIN),
    _page("GET", "/compare", READ, "?run={dag}/{run}&run={dag}/{run}"),
    _page("GET", "/run", READ, _AT),
    _page("GET", "/run/step", READ, _TASK),
    _page("GET", "/run/log", READ, f"{_TASK}&stream=stdout"),
    _page("GET", "/run/elements", READ, _TASK),
    _page("GET", "/run/outputs", READ, _AT),
    _page("GET", "/run/preview", READ, f"{_AT}&path=out.txt"),
    _page("GET", "/run/usage", READ, _AT),
    _page("POST", "/stop", RUNS, _AT),
    _page("GET", "/stop/progress", READ, _AT),
    _page("GET", "/runs/{dag_id}/{run_id}/reports", READ),
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
    """Return face, method and route of both FastAPI apps; also those that no OpenAPI document has."""
    from cwl_ui_plugin.addresses import REST_BELOW
    from cwl_ui_plugin.api import experimental, rest

    for face, app, prefix in ((REST, rest.app(), REST_BELOW), (EXPERIMENTAL, experimental.app(), "")):
        for route in app.routes:
            path = getattr(route, "path", "").removeprefix(prefix).replace(":path}", "}")
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
