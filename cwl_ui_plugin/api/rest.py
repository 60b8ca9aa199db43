"""The plugin's REST API, mounted at ``/cwl``."""

from __future__ import annotations

from dataclasses import asdict
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import FileResponse, HTMLResponse

from cwl_ui_plugin.addresses import REST_BELOW
from cwl_ui_plugin.api import errors, inputs, keys, reports, retention, runs, schemas, workflows
from cwl_ui_plugin.api.security import clean_address, same_origin
from cwl_ui_plugin.servers import recent_restarts, server_id
from cwl_ui_plugin.services import health
from cwl_ui_plugin.version import __version__

SWAGGER_FILES = {"swagger-ui-bundle.js": "js", "swagger-ui.css": "css/swagger"}
DESCRIPTION = (
    "Workflows in the Common Workflow Language on Airflow. Log in with Airflow's bearer token (`POST /auth/token`) or "
    'its session cookie. Every error is `{"detail": message, "problems": [...]}`.'
)


@cache
def app() -> FastAPI:
    """Return the app."""
    made = FastAPI(
        title="CWL",
        version=__version__,
        description=DESCRIPTION,
        openapi_url=f"{REST_BELOW}/openapi.json",
        docs_url=None,  # FastAPI's pages load their scripts from another host; see get_docs
        redoc_url=None,
        dependencies=[same_origin, clean_address],
    )
    errors.install(made)
    for router in (workflows.router, runs.router, reports.router, keys.router, retention.router):
        made.include_router(router, prefix=REST_BELOW, responses=schemas.ANY)
    made.include_router(inputs.router, prefix=REST_BELOW, responses=schemas.ANY | schemas.failing(404, 409, 413, 503))
    made.get(f"{REST_BELOW}/health", tags=["health"], responses=schemas.answers(schemas.Health, 400, 500))(get_health)
    made.get(f"{REST_BELOW}/docs", include_in_schema=False)(get_docs)
    for name, folder in SWAGGER_FILES.items():
        made.get(f"{REST_BELOW}/docs/{name}", include_in_schema=False)(_swagger_file(folder, name))
    return made


def get_docs() -> HTMLResponse:
    """Show the API as a page, with Flask-AppBuilder's copy of Swagger UI; addresses are relative to this page."""
    return get_swagger_ui_html(
        openapi_url="openapi.json",
        title="CWL",
        swagger_js_url="docs/swagger-ui-bundle.js",
        swagger_css_url="docs/swagger-ui.css",
        swagger_favicon_url="",
    )


def _swagger_file(folder: str, name: str) -> Any:
    spec = find_spec("flask_appbuilder")
    static = Path(spec.origin).parent / "static" / "appbuilder" if spec and spec.origin else Path()

    def get_file() -> FileResponse:
        return FileResponse(static / folder / name, headers={"Cache-Control": "max-age=86400"})

    return get_file


def get_health() -> Any:
    """Tell the version, and whether workflows can be uploaded and run; needs no login.

    `problems` are settings that are needed and missing; `restarts` what died of a standalone server in the last hour;
    `server` tells a standalone server from others.
    """
    return {
        "version": __version__,
        "ready": health.is_ready(),
        "problems": health.problems(),
        "restarts": [asdict(restart) for restart in recent_restarts()],
        "server": server_id(),
    }
