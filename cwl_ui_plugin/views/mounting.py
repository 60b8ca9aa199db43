"""Who serves the pages: Airflow, as long as it does that for Flask-AppBuilder views; else the plugin itself.

Airflow 3 has marked such views as deprecated. It makes a Flask app for those of all plugins and mounts it at
``/pluginsv2``. In an Airflow that does not any more, the plugin makes an app with the same pages and mounts it as one
of its FastAPI apps. That app needs Flask, Flask-AppBuilder's views and Flask-WTF, and of Airflow's FAB provider nothing
but the auth manager, where that is the one in use.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from importlib.util import find_spec
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from cwl_ui_plugin import addresses

if TYPE_CHECKING:
    from a2wsgi.wsgi_typing import WSGIApp
    from flask import Flask
    from starlette.types import ASGIApp, Receive, Scope, Send

    from cwl_ui_plugin.views.base import CwlView

SESSION_COOKIE = "cwl_session"
"""Of its own: FAB's login keeps its session in a cookie that is called ``session``, on the same path."""
THREADS = 40
"""As many requests are served at once, as many as those that wait for a stop."""


def airflow_serves_pages() -> bool:
    """Whether this Airflow mounts an app with the Flask-AppBuilder views of plugins; all else follows from that."""
    from airflow.api_fastapi.core_api import app as core
    from airflow.plugins_manager import AirflowPlugin

    knows_views = hasattr(AirflowPlugin, "appbuilder_views") and hasattr(AirflowPlugin, "flask_blueprints")
    return knows_views and hasattr(core, "init_flask_plugins") and find_spec("airflow.providers.fab.www") is not None


def mount() -> str:
    """Return where the pages are mounted."""
    return addresses.AIRFLOW_MOUNT if airflow_serves_pages() else addresses.OWN_MOUNT


def make_app() -> Flask:
    """Return a Flask app with the pages, as Airflow would have made it."""
    from airflow.configuration import conf
    from flask import Flask
    from flask_wtf.csrf import CSRFProtect

    from cwl_ui_plugin import views

    app = Flask("cwl_ui_plugin.views", static_folder=None)
    app.secret_key = conf.get_mandatory_value("api", "secret_key")
    app.config.update(
        SESSION_COOKIE_NAME=SESSION_COOKIE,
        SESSION_COOKIE_PATH=_cookie_path(),
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=_is_secure(),
    )
    CSRFProtect(app)
    builder = SimpleNamespace(base_template="")  # what a view knows of its app, of which our templates ask for nothing
    ours = [entry["view"] for entry in views.appbuilder_views()]
    for view in ours:
        app.register_blueprint(view.create_blueprint(builder))
    app.register_blueprint(views.blueprint())
    app.teardown_appcontext(_end_session)
    _acquaint(app, ours)
    return app


class OwnPages:
    """The pages as an ASGI app. They are made at the first request: before there is no auth manager."""

    def __init__(self) -> None:
        self._app: ASGIApp | None = None
        self._lock = threading.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        from anyio import to_thread

        app = self._app
        if app is None:
            app = await to_thread.run_sync(self._make)
        await app(scope, receive, send)

    def _make(self) -> ASGIApp:
        from a2wsgi import WSGIMiddleware

        with self._lock:
            made = self._app or cast("ASGIApp", WSGIMiddleware(cast("WSGIApp", make_app()), workers=THREADS))
            self._app = made
            return made


def _cookie_path() -> str:
    from airflow.api_fastapi.app import get_cookie_path

    return str(get_cookie_path())


def _is_secure() -> bool:
    """Whether browsers reach this server by TLS only, as far as it knows."""
    from airflow.configuration import conf

    return bool(conf.get("api", "ssl_cert", fallback="")) or conf.get("api", "base_url", fallback="").startswith(
        "https://"
    )


def _end_session(_error: BaseException | None) -> None:
    """Give the connection back that the auth manager may have taken for the request."""
    from airflow import settings

    session = cast("Any", settings.Session)
    if session is not None:
        session.remove()


def _acquaint(app: Flask, views: Iterable[CwlView]) -> None:
    """Let FabAuthManager find what it looks for in the app that serves a request, and know the permissions of views.

    It has a Flask app for its own login. Other auth managers do not know of Flask.
    """
    from airflow.api_fastapi.app import get_auth_manager

    manager: Any = get_auth_manager()
    fab = getattr(manager, "flask_app", None)
    if fab is None:
        return
    for key, value in fab.config.items():
        app.config.setdefault(key, value)
    app.appbuilder = fab.appbuilder  # type: ignore[attr-defined]
    with fab.app_context():
        for view in views:
            if view.base_permissions:
                manager.security_manager.add_permissions_view(view.base_permissions, view.class_permission_name)
