"""Airflow's API server as one that serves no Flask-AppBuilder views any more: run by test_own_mount.py."""

from __future__ import annotations

import sys

import uvicorn
from airflow.api_fastapi import app as api
from airflow.api_fastapi.core_api import app as core


def main(port: int) -> None:
    del core.init_flask_plugins
    api.init_flask_plugins = lambda _app: None  # its caller would be gone, too
    app = api.create_app(apps="core")
    assert "/pluginsv2" not in {getattr(route, "path", "") for route in app.routes}
    uvicorn.run(app, host="localhost", port=port, log_level="warning")


if __name__ == "__main__":
    main(int(sys.argv[1]))
