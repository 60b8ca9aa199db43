"""Errors as pages: what went wrong and what to do, never a traceback."""

from __future__ import annotations

import logging

from flask import Blueprint, Response, request
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException, InternalServerError

from cwl_ui_plugin import addresses
from cwl_ui_plugin.auth.bridge import refusal
from cwl_ui_plugin.library.errors import DamagedArchive, StoreAway
from cwl_ui_plugin.services.errors import ServiceError, Unavailable
from cwl_ui_plugin.services.full_disk import as_no_room

log = logging.getLogger(__name__)
_TITLES = {
    400: "Bad request",
    403: "Not allowed",
    404: "Not found",
    409: "It exists already",
    413: "Too large",
    507: "The disk is full",
}


def init_errors(blueprint: Blueprint) -> None:
    """Show errors of our pages our way, and leave those of other pages of the app alone."""

    @blueprint.app_errorhandler(ServiceError)
    def refused(error: ServiceError) -> Response:
        text = "\n".join([error.message, *(str(problem) for problem in error.problems)])
        return refusal(error.status, text, _TITLES.get(error.status, "That did not work"))

    @blueprint.app_errorhandler(StoreAway)
    @blueprint.app_errorhandler(DamagedArchive)
    def away(error: StoreAway | DamagedArchive) -> Response:
        return refused(Unavailable(str(error)))

    @blueprint.app_errorhandler(CSRFError)
    def expired(error: CSRFError) -> Response | CSRFError:
        if not _is_ours():
            return error
        return refusal(400, "This page was open for too long, or was sent from elsewhere: reload it and try again.")

    @blueprint.app_errorhandler(HTTPException)
    def http_error(error: HTTPException) -> Response | HTTPException:
        if not _is_ours() or (error.code or 500) < 400:
            return error
        return refusal(error.code or 500, error.description or str(error), _TITLES.get(error.code or 0, error.name))

    @blueprint.app_errorhandler(Exception)
    def unexpected(error: Exception) -> Response:
        if not _is_ours():
            raise error
        if told := as_no_room(error):
            log.error("%s: %s", request.path, error)
            return refused(told)
        log.exception("The page %s failed", request.path)
        return refusal(
            InternalServerError.code, "Something went wrong in the server. Its log says more.", "That did not work"
        )


def _is_ours() -> bool:
    return addresses.is_below(request.path, addresses.PAGES)
