"""The plugin's REST API, mounted at ``/cwl``."""

from __future__ import annotations

from functools import cache
from typing import Any

from fastapi import FastAPI

from cwl_ui_plugin.api import errors, inputs, keys, reports, runs, workflows
from cwl_ui_plugin.api.security import same_origin
from cwl_ui_plugin.runs import health
from cwl_ui_plugin.version import __version__

PREFIX = "/api/v1"
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
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None,  # FastAPI's pages load their scripts from another host
        redoc_url=None,
        dependencies=[same_origin],
    )
    errors.install(made)
    for router in (workflows.router, runs.router, inputs.router, reports.router, keys.router):
        made.include_router(router, prefix=PREFIX)
    made.get(f"{PREFIX}/health", tags=["health"])(get_health)
    return made


def get_health() -> dict[str, Any]:
    """Tell the version, and whether workflows can be uploaded and run; needs no login."""
    return {"version": __version__, "ready": health.is_ready()}
