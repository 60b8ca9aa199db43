"""The plugin's REST API, mounted at ``/cwl``."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import FileResponse, HTMLResponse

from cwl_ui_plugin.addresses import REST_BELOW
from cwl_ui_plugin.api import (
    approvals,
    batches,
    continuing,
    crates,
    errors,
    importing,
    inputs,
    keys,
    notifications,
    observing,
    presets,
    reports,
    retention,
    runs,
    schedules,
    schemas,
    stored_inputs,
    workflows,
)
from cwl_ui_plugin.api.answering import AnyTextResponse
from cwl_ui_plugin.api.openapi import DescribedApi
from cwl_ui_plugin.api.security import clean_address, same_origin
from cwl_ui_plugin.version import __version__

SWAGGER_FILES = {"swagger-ui-bundle.js": "js", "swagger-ui.css": "css/swagger"}
DESCRIPTION = (
    "Workflows in the Common Workflow Language on Airflow. Log in with Airflow's bearer token (`POST /auth/token`) or "
    'its session cookie. Every error is `{"detail": message, "problems": [...]}`.'
)


@cache
def app() -> FastAPI:
    """Return the app."""
    made = DescribedApi(
        title="CWL",
        version=__version__,
        description=DESCRIPTION,
        openapi_url=f"{REST_BELOW}/openapi.json",
        docs_url=None,  # FastAPI's pages load their scripts from another host; see get_docs
        redoc_url=None,
        dependencies=[same_origin, clean_address],
        default_response_class=AnyTextResponse,
    )
    errors.install(made)
    parts = (
        workflows,
        crates,
        importing,
        schedules,
        approvals,
        presets,
        runs,
        continuing,
        batches,
        reports,
        keys,
        retention,
        notifications,
    )
    for router in (part.router for part in parts):
        made.include_router(router, prefix=REST_BELOW, responses=schemas.ANY)
    made.include_router(inputs.router, prefix=REST_BELOW, responses=schemas.ANY | schemas.failing(404, 409, 413, 503))
    made.include_router(stored_inputs.router, prefix=REST_BELOW, responses=schemas.ANY)
    observing.install(made)
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


def _swagger_file(folder: str, name: str) -> Callable[[], FileResponse]:
    spec = find_spec("flask_appbuilder")
    static = Path(spec.origin).parent / "static" / "appbuilder" if spec and spec.origin else Path()

    def get_file() -> FileResponse:
        return FileResponse(static / folder / name, headers={"Cache-Control": "max-age=86400"})

    return get_file
