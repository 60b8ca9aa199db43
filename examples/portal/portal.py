"""A portal in one file: it lists workflows, starts signed runs, receives and verifies reports, and shows results.

Three things are all that a portal needs:

* ``Portal.start`` signs ``{"run_id", "conf"}`` and posts it: no login, the signature says who asks;
* ``take_report`` verifies each report with the server's public key, and answers 200 once it is kept;
* ``Portal.workflows`` asks for what there is, with a token of an Airflow user who may read it.

Run it with ``python portal.py`` and the variables that ``Settings`` names. Reports are kept in memory; a
real portal has a database.
"""

from __future__ import annotations

import html
import json
import os
import socket
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import httpx
import jwt
import uvicorn
from fastapi import Body, FastAPI, Form, HTTPException
from fastapi.responses import HTMLResponse, RedirectResponse

REPORTS = "/satellite/v1"
"""Where reports come in: host, port and ``{"endpoint": "satellite/v1/"}`` of the Connection ``process_report``."""
ROUTES = ("progress", "status", "results")
PAGE = """<!doctype html><meta charset="utf-8"><title>Portal</title>
<style>body {{ font: 16px sans-serif; max-width: 50em; margin: 2em auto }} textarea {{ width: 100% }}</style>
<p><a href="/">Portal</a></p>{}"""


@dataclass(frozen=True)
class Settings:
    """Where the server is, and the keys. All of it comes from the environment."""

    url: str
    token: str
    private_key: str
    """Signs triggers; its public half is the Variable ``jwt_backend_public_key`` of the server."""
    reports_key: str
    """Verifies reports: the public half of the Variable ``process_report_private_key`` of the server."""
    algorithm: str = "RS256"

    @classmethod
    def from_environment(cls) -> Settings:
        """Read PORTAL_URL, PORTAL_TOKEN, PORTAL_KEY and PORTAL_REPORTS_KEY; the last two are names of files."""
        return cls(
            url=os.environ["PORTAL_URL"].rstrip("/"),
            token=os.environ["PORTAL_TOKEN"],
            private_key=Path(os.environ["PORTAL_KEY"]).read_text(),
            reports_key=Path(os.environ["PORTAL_REPORTS_KEY"]).read_text(),
        )


@dataclass
class Run:
    """What reports have told of a run."""

    dag_id: str
    run_id: str
    state: str = "queued"
    progress: int = 0
    error: str = ""
    results: dict[str, Any] | None = None
    tasks: dict[str, str] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)

    def take(self, route: str, payload: dict[str, Any]) -> None:
        """Keep a report. It may come twice: ``report_id`` tells; within a run the order is right."""
        if payload.get("report_id") in self.seen:
            return
        self.seen.add(str(payload.get("report_id")))
        if route == "progress":
            self.state, self.progress = payload["state"], payload["progress"]
            self.error = payload.get("error", "")
        elif route == "status":
            self.tasks[payload["task_id"]] = payload["state"]
        elif route == "results":
            self.results = payload["results"]


class Portal:
    """What the portal does with the server."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.runs: dict[str, Run] = {}

    def workflows(self) -> list[dict[str, Any]]:
        """Return the workflows that the token's user may read."""
        headers = {"Authorization": f"Bearer {self.settings.token}"}
        answer = self._ask("GET", "/cwl/api/v1/workflows", headers=headers)
        if answer.status_code != 200:
            raise HTTPException(502, f"The server does not list its workflows: {answer.text}")
        found: list[dict[str, Any]] = answer.json()["workflows"]
        return found

    def start(self, dag_id: str, job: dict[str, Any]) -> Run:
        """Start a run with a signed conf; raise :class:`HTTPException` with the server's words if it refuses."""
        run_id, conf = f"portal-{uuid.uuid4().hex[:8]}", {"job": job}
        token = jwt.encode({"run_id": run_id, "conf": conf}, self.settings.private_key, self.settings.algorithm)
        self.runs[run_id] = run = Run(dag_id, run_id)  # reports may come before the answer
        body = {"run_id": run_id, "conf": conf, "check_payload": token}
        try:
            answer = self._ask("POST", f"/api/experimental/dags/{quote(dag_id, safe='')}/dag_runs", json=body)
        except HTTPException:
            del self.runs[run_id]
            raise
        if answer.status_code != 200:
            del self.runs[run_id]
            raise HTTPException(answer.status_code, answer.text)
        return run

    def _ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Return an answer of the server; raise :class:`HTTPException` where there is none."""
        try:
            return httpx.request(method, self.settings.url + path, timeout=60, trust_env=False, **options)
        except httpx.HTTPError as error:
            raise HTTPException(503, f"The server can't be reached now; try again later. ({error!r})") from error

    def verified(self, body: dict[str, Any]) -> dict[str, Any]:
        """Return what a report says, if its signature holds."""
        try:
            payload: dict[str, Any] = jwt.decode(
                body["payload"], self.settings.reports_key, algorithms=[self.settings.algorithm]
            )
        except (jwt.InvalidTokenError, KeyError, TypeError, AttributeError) as error:
            raise HTTPException(403, f"The signature does not hold: {error}") from error
        return payload


def make_app(settings: Settings) -> FastAPI:
    """Return the portal's pages and its receiver of reports."""
    app, portal = FastAPI(docs_url=None, redoc_url=None, openapi_url=None), Portal(settings)

    @app.post(f"{REPORTS}/{{route}}")
    def take_report(route: str, body: Annotated[dict[str, Any], Body()]) -> dict[str, str]:
        payload = portal.verified(body)
        run = portal.runs.get(str(payload.get("run_id")))
        if route in ROUTES and run is not None:  # others may send reports of runs that are not ours
            run.take(route, payload)
        return {"status": "kept"}

    @app.get("/")
    def home() -> HTMLResponse:
        workflows = "".join(
            f'<li><a href="/workflows/{quote(item["dag_id"])}">{html.escape(item["label"] or item["dag_id"])}</a></li>'
            for item in portal.workflows()
        )
        runs = "".join(
            f'<li><a href="/runs/{run.run_id}">{html.escape(run.dag_id)}: {run.state}</a></li>'
            for run in portal.runs.values()
        )
        return page(f"<h1>Workflows</h1><ul>{workflows}</ul><h1>Runs</h1><ul>{runs}</ul>")

    @app.get("/workflows/{dag_id}")
    def form(dag_id: str) -> HTMLResponse:
        return page(
            f"<h1>Run {html.escape(dag_id)}</h1><form method=post><label>Job, as JSON"
            "<textarea name=job rows=12>{}</textarea></label><button>Start</button></form>"
        )

    @app.post("/workflows/{dag_id}")
    def start(dag_id: str, job: Annotated[str, Form()]) -> RedirectResponse:
        try:
            read = json.loads(job)
        except ValueError as error:
            raise HTTPException(400, f"The job is no JSON: {error}") from error
        return RedirectResponse(f"/runs/{portal.start(dag_id, read).run_id}", status_code=303)

    @app.get("/runs/{run_id}")
    def show(run_id: str) -> HTMLResponse:
        run = portal.runs.get(run_id)
        if run is None:
            raise HTTPException(404, "There is no such run.")
        tasks = "".join(f"<li>{html.escape(task)}: {html.escape(state)}</li>" for task, state in run.tasks.items())
        results = "" if run.results is None else f"<pre>{html.escape(json.dumps(run.results, indent=2))}</pre>"
        return page(
            f"<h1>{html.escape(run.dag_id)}</h1><p>{html.escape(run.state)}, {run.progress} %</p>"
            f"<p>{html.escape(run.error)}</p><ul>{tasks}</ul><h2>Results</h2>{results}"
        )

    return app


def page(content: str) -> HTMLResponse:
    """Return a page; ``content`` is HTML."""
    return HTMLResponse(PAGE.format(content))


def main() -> None:
    """Serve the portal on a free port, and say where."""
    with socket.create_server(("127.0.0.1", int(os.environ.get("PORTAL_PORT", "0")))) as listener:
        print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
        config = uvicorn.Config(make_app(Settings.from_environment()), log_level="warning")
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
