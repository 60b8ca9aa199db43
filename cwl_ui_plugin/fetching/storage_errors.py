"""What libraries of object stores raise, as an error of ``errors``: in words that hold nothing of what they say.

That may be an endpoint with its login, an address that is a key by itself (SAS), or the name of an account. The log has
more, without the logins.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from errno import EDQUOT, ENOSPC
from typing import Literal, NamedTuple

from cwl_ui_plugin.fetching.errors import Away, FetchError, NotThere, OtherContent
from cwl_ui_plugin.fetching.storage_roots import StorageAddress, shown

log = logging.getLogger(__name__)
_LOGIN = re.compile(r"://\S*@")
_QUERY = re.compile(r"\?[^\s'\"]+")
_LOGGED_CHARACTERS = 1000
_FULL = frozenset(
    {"QuotaExceeded", "StorageFull", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded", "InsufficientCapacity"}
)
_NO_ROOM = 507
_SKEWED = "RequestTimeTooSkewed"
Doing = Literal["read", "written"]
_CODE = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Asker(NamedTuple):
    """Who asks a store: where its library must be installed, and whose log has more."""

    machine: str
    log: str


TASK = Asker("the worker", "the task")
SERVER = Asker("the API server", "the API server")


@contextmanager
def in_words(address: StorageAddress, doing: Doing = "read", asker: Asker = TASK) -> Iterator[None]:
    """Raise what a library raises for an address as a :class:`FetchError`, without its text."""
    try:
        yield
    except FetchError:
        raise
    except Exception as error:
        if doing == "read" and isinstance(error, FileNotFoundError):
            raise NotThere(f"There is no {shown(address.url)}, or no such bucket.", 404) from None
        log.warning("%s: %s", shown(address.url), _for_log(error))
        raise _words(address, error, doing, asker) from None


def _words(address: StorageAddress, error: Exception, doing: Doing, asker: Asker) -> FetchError:
    from airflow.sdk.exceptions import AirflowNotFoundException

    place, option = shown(address.url), address.root.option
    if doing == "written" and (refused := _not_taken(place, error)):
        return refused
    if _SKEWED in _codes(error):
        return Away(
            f"{place} can't be {'had' if doing == 'read' else doing} now: the clocks of {asker.machine} and of the "
            "store differ by more than the store allows, which is mostly 15 minutes."
        )
    if isinstance(error, PermissionError):
        what = "give {} to" if doing == "read" else "take {} from"
        return NotThere(
            f"The store does not {what.format(place)} this site: the login of the Connection that {option} names for "
            f"it is wrong, or may not {'read' if doing == 'read' else 'write'} it.",
            403,
        )
    if isinstance(error, ImportError):
        return NotThere(
            f"{place} can't be {doing}: what speaks {address.root.scheme}:// is not installed on {asker.machine} (for "
            "s3: pip install 'cwl-ui-plugin[s3]').",
            501,
        )
    if isinstance(error, AirflowNotFoundException):
        return Away(f"{place} can't be {doing} now: the Connection that {option} names for it is not there.")
    if isinstance(error, ValueError) and "filesystem" in str(error):
        return NotThere(
            f"{place} can't be {doing}: no provider of Airflow that speaks {address.root.scheme}:// is installed on "
            f"{asker.machine} (for s3: pip install 'cwl-ui-plugin[s3]').",
            501,
        )
    how = "had" if doing == "read" else doing
    return Away(f"{place} can't be {how} now: {_kind(error)}. The log of {asker.log} has more.")


def _not_taken(place: str, error: Exception) -> FetchError | None:
    """Return why a store does not take an object, where that is told."""
    codes = set(_codes(error))
    if isinstance(error, FileNotFoundError):
        return NotThere(f"{place} can't be written: there is no such bucket.", 404)
    if codes & _FULL or status_of(error) == _NO_ROOM or getattr(error, "errno", None) in (ENOSPC, EDQUOT):
        return Away(f"{place} can't be written: the store has no room left, or the quota of the bucket is used up.")
    if "KeyTooLongError" in codes:
        return OtherContent(f"{place} can't be written: its key is too long for this store.")
    if codes & {"EntityTooLarge", "InvalidObjectName"}:
        return OtherContent(f"{place} can't be written: the store takes no such object ({_kind(error)}).")
    return None


def status_of(error: BaseException) -> int | None:
    """Return the status of HTTP that a store has answered with, where an error of its library, or its cause, has it."""
    for one in (error, error.__cause__):
        answer = getattr(one, "response", None)
        told = _inside(answer, "ResponseMetadata", "HTTPStatusCode") if isinstance(answer, Mapping) else None
        status = told or getattr(one, "status", None)
        if isinstance(status, int):
            return status
    return None


def _codes(error: BaseException) -> Iterator[str]:
    for one in (error, error.__cause__):
        answer = getattr(one, "response", None)
        if isinstance(answer, Mapping) and _CODE.fullmatch(code := str(_inside(answer, "Error", "Code"))):
            yield code


def _kind(error: BaseException) -> str:
    """Return the type of an error, with the code of S3 and the status of HTTP where it, or its cause, has them."""
    status = status_of(error)
    found = [*dict.fromkeys(_codes(error)), *([] if status is None else [f"HTTP {status}"])]
    name = type(error).__name__
    return f"{name} ({', '.join(found)})" if found else name


def _inside(answer: Mapping[object, object], name: str, part: str) -> object:
    inner = answer.get(name)
    return inner.get(part) if isinstance(inner, Mapping) else None


def _for_log(error: Exception) -> str:
    """Return what an error says, as Airflow's logs have it, and besides without logins and queries of addresses."""
    from airflow.sdk.log import mask_logs

    plain = _QUERY.sub("?...", _LOGIN.sub("://...@", f"{type(error).__name__}: {error}"))
    return shown(str(mask_logs(None, "", {"event": plain})["event"]), _LOGGED_CHARACTERS)
