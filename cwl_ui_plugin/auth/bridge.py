"""The user of Airflow's token inside the plugin's Flask app, and access checks for its views.

Airflow serves Flask-AppBuilder views in an app of their own that knows no user. FAB's ``has_access`` fails there with
a 500 where it should say 403, and lets every viewer through with the simple auth manager; so each view names a function
of ``permissions`` instead::

    @expose("/runs/<dag_id>")
    @requires(permissions.may_read, "dag_id")
    def runs(self, dag_id): ...
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar
from urllib.parse import parse_qs, urlencode, urlsplit

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.base_auth_manager import COOKIE_NAME_JWT_TOKEN
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from flask import Blueprint, Response, g, jsonify, redirect, render_template, request
from jinja2 import TemplateNotFound
from jwt import InvalidTokenError
from markupsafe import escape
from werkzeug.exceptions import Forbidden, Unauthorized
from werkzeug.wrappers import Response as BaseResponse

from cwl_ui_plugin import addresses

P = ParamSpec("P")
View = TypeVar("View")
"""What a view answers with."""
log = logging.getLogger(__name__)

ERROR_TEMPLATE = "cwl_ui_plugin/error.html"
"""Rendered with ``status``, ``title`` and ``message`` where a view is refused."""
DENIED = "You do not have the permission for this. An administrator of this Airflow can grant it."


def init_bridge(blueprint: Blueprint) -> None:
    """Let every request for a page have a user, or be sent to the login; static files need none."""

    @blueprint.before_app_request
    def identify() -> BaseResponse | None:
        path = request.path
        if not addresses.is_below(path, addresses.PAGES) or addresses.is_below(path, addresses.STATIC):
            return None
        g.cwl_user = g.user = _user_of_request()
        return None if g.cwl_user is not None else _login()


def current_user() -> BaseUser:
    """Return the user of this request; only views below the bridge's prefix have one."""
    user: BaseUser | None = getattr(g, "cwl_user", None)
    if user is None:
        raise Unauthorized("Log in to Airflow first.")
    return user


def requires(check: Callable[..., bool], *names: str) -> Callable[[Callable[P, View]], Callable[P, View | Response]]:
    """Let only users through for whom ``check(user, *values)`` holds; ``names`` are the view's or query's."""

    def decorate(view: Callable[P, View]) -> Callable[P, View | Response]:
        @wraps(view)
        def checked(*args: P.args, **kwargs: P.kwargs) -> View | Response:
            values = (kwargs[name] if name in kwargs else request.args.get(name, "") for name in names)
            if not check(current_user(), *values):
                return refusal(Forbidden.code, DENIED)
            return view(*args, **kwargs)

        return checked

    return decorate


def refusal(status: int, message: str, title: str = "Not allowed") -> Response:
    """Return the answer to a request that is refused: JSON for scripts, a page for people."""
    if _wants_json():
        response = jsonify({"detail": message, "problems": []})
    else:
        response = Response(_page(status, title, message), mimetype="text/html")
    response.status_code = status
    return response


def _user_of_request() -> BaseUser | None:
    """Return the user of the bearer token (also injected by "all admins" mode), else of the cookie, else None."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        token = request.cookies.get(COOKIE_NAME_JWT_TOKEN, "")
    if not token:
        return None
    try:
        return asyncio.run(get_auth_manager().get_user_from_token(token))
    except InvalidTokenError:
        return None
    except Exception:
        # A deleted user, or an auth manager that can't be reached: no reason to let anybody in.
        log.exception("The user of a token can't be determined")
        return None


def _login() -> BaseResponse:
    if request.method in ("GET", "HEAD") and not _wants_json():
        return redirect(_login_url(_here()))
    response = jsonify({"detail": "Not logged in, or the session has ended: log in to Airflow again.", "problems": []})
    response.status_code = Unauthorized.code
    return response


def _login_url(leads_to: str) -> str:
    """Return where to log in; auth managers before Airflow 3.3 do not say where that leads to."""
    url = get_auth_manager().get_url_login(next_url=leads_to)
    if "next" in parse_qs(urlsplit(url).query):
        return url
    return f"{url}{'&' if urlsplit(url).query else '?'}{urlencode({'next': leads_to})}"


def _here() -> str:
    """Return the address of this request on its server, whatever the request calls that."""
    return f"{request.script_root}{request.full_path.removesuffix('?')}"


def _wants_json() -> bool:
    accepted = request.accept_mimetypes
    return (
        request.is_json
        or request.headers.get("X-Requested-With") == "XMLHttpRequest"
        or accepted["application/json"] > accepted["text/html"]
    )


def _page(status: int, title: str, message: str) -> str:
    try:
        return render_template(ERROR_TEMPLATE, status=status, title=title, message=message)
    except TemplateNotFound:
        return f"<!doctype html><title>{escape(title)}</title><h1>{escape(title)}</h1><p>{escape(message)}</p>"
