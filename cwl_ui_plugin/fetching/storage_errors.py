"""What libraries of object stores raise, as an error of ``errors``: in words that hold nothing of what they say.

That may be an endpoint with its login, an address that is a key by itself (SAS), or the name of an account. The log has
more, without the logins.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from cwl_ui_plugin.fetching.errors import Away, FetchError, NotThere
from cwl_ui_plugin.fetching.storage_roots import StorageAddress, shown

log = logging.getLogger(__name__)
_LOGIN = re.compile(r"://\S*@")
_QUERY = re.compile(r"\?[^\s'\"]+")
_LOGGED_CHARACTERS = 1000
_CODE = re.compile(r"[A-Za-z0-9._-]{1,64}")


@contextmanager
def in_words(address: StorageAddress) -> Iterator[None]:
    """Raise what a library raises for an address as a :class:`FetchError`, without its text."""
    try:
        yield
    except FetchError:
        raise
    except FileNotFoundError:
        raise NotThere(f"There is no {shown(address.url)}, or no such bucket.", 404) from None
    except Exception as error:
        log.warning("%s: %s", shown(address.url), _for_log(error))
        raise _words(address, error) from None


def _words(address: StorageAddress, error: Exception) -> FetchError:
    from airflow.sdk.exceptions import AirflowNotFoundException

    place = shown(address.url)
    if isinstance(error, PermissionError):
        return NotThere(
            f"The store does not give {place} to this site: the login of the Connection that [cwl] storage_roots names "
            "for it is wrong, or may not read it.",
            403,
        )
    if isinstance(error, ImportError):
        return NotThere(
            f"{place} can't be read: what speaks {address.root.scheme}:// is not installed on the worker (for s3: "
            "pip install 'cwl-ui-plugin[s3]').",
            501,
        )
    if isinstance(error, AirflowNotFoundException):
        return Away(f"{place} can't be read now: the Connection that [cwl] storage_roots names for it is not there.")
    if isinstance(error, ValueError) and "filesystem" in str(error):
        return NotThere(
            f"{place} can't be read: no provider of Airflow that speaks {address.root.scheme}:// is installed on the "
            "worker (for s3: pip install 'cwl-ui-plugin[s3]').",
            501,
        )
    return Away(f"{place} can't be had now: {_kind(error)}. The log of the task has more.")


def _kind(error: BaseException) -> str:
    """Return the type of an error, with the code of S3 and the status of HTTP where it, or its cause, has them."""
    found: list[str] = []
    for one in (error, error.__cause__):
        answer = getattr(one, "response", None)
        if isinstance(answer, Mapping):
            code = str(_inside(answer, "Error", "Code"))
            found += [code] if _CODE.fullmatch(code) else []
        else:
            answer = {}
        status = _inside(answer, "ResponseMetadata", "HTTPStatusCode") or getattr(one, "status", None)
        found += [f"HTTP {status}"] if isinstance(status, int) else []
    name = type(error).__name__
    return f"{name} ({', '.join(dict.fromkeys(found))})" if found else name


def _inside(answer: Mapping[object, object], name: str, part: str) -> object:
    inner = answer.get(name)
    return inner.get(part) if isinstance(inner, Mapping) else None


def _for_log(error: Exception) -> str:
    """Return what an error says, as Airflow's logs have it, and besides without logins and queries of addresses."""
    from airflow.sdk.log import mask_logs

    plain = _QUERY.sub("?...", _LOGIN.sub("://...@", f"{type(error).__name__}: {error}"))
    return shown(str(mask_logs(None, "", {"event": plain})["event"]), _LOGGED_CHARACTERS)
