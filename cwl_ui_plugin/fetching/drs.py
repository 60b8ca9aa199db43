"""GA4GH DRS 1.4: what a ``drs://`` address stands for. Only hostname-based ones; no credentials are sent.

See https://ga4gh.github.io/data-repository-service-schemas/.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

from cwl_ui_plugin.fetching.checksums import given_checksums
from cwl_ui_plugin.fetching.errors import OtherContent
from cwl_ui_plugin.fetching.fetch import fetch, shown
from cwl_ui_plugin.fetching.hosts import HostRules, address_of, plain_name
from cwl_ui_plugin.fetching.json_answers import value_of
from cwl_ui_plugin.fetching.limits import Limits

SCHEME = "drs"
MAX_HEADERS = 20
MAX_HEADER = 4096
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_ADDRESS = re.compile(r"drs://(?P<host>[^/?#@]+)/(?P<id>[^/?#]+)/?")
_OURS = ("host", "connection", "content-length", "transfer-encoding", "accept-encoding", "user-agent")


@dataclass(frozen=True)
class DrsFile:
    """Where the bytes of an object are, and what is said of them; ``headers`` belong to that address."""

    url: str
    headers: Mapping[str, str]
    name: str | None
    checksums: Mapping[str, str]


def object_url(address: str) -> str:
    """Return the address at which a DRS server tells of an object; raise :class:`OtherContent` for another address.

    This machine is asked by http, every other host by https.
    """
    match = _ADDRESS.fullmatch(address)
    if match is None or ":" in unquote(match["host"]).partition(":")[2]:
        raise OtherContent(f"{address[:200]!r} is no DRS address: write drs://host/id.")
    host = plain_name(urlsplit(f"//{match['host']}").hostname or "")
    ip = address_of(host)
    scheme = "http" if host == "localhost" or (ip is not None and ip.is_loopback) else "https"
    return f"{scheme}://{match['host']}/ga4gh/drs/v1/objects/{quote(unquote(match['id']), safe='')}"


def resolve(address: str, rules: HostRules, limits: Limits) -> DrsFile:
    """Ask a DRS server where an object's bytes are.

    Raises:
        FetchError: there is no such object, or it can't be had by https without a login.

    """
    url = object_url(address)
    found = _object(url, rules, limits)
    if found.get("contents"):
        raise OtherContent(f"{address} is a bundle of several files; name the files themselves.")
    given = found.get("checksums")
    items = [item for item in given if isinstance(item, dict)] if isinstance(given, list) else []
    checksums = given_checksums((item.get("type"), item.get("checksum")) for item in items)
    name = found.get("name")
    access = _access(found, url, rules, limits)
    return DrsFile(*access, name if isinstance(name, str) else None, checksums)


def _access(found: Mapping[str, object], url: str, rules: HostRules, limits: Limits) -> tuple[str, Mapping[str, str]]:
    methods = found.get("access_methods")
    for method in methods if isinstance(methods, list) else ():
        if not isinstance(method, dict) or method.get("type") not in ("https", "http"):
            continue
        access = method.get("access_url")
        if access is None and isinstance(method.get("access_id"), str):
            access = _object(f"{url}/access/{quote(method['access_id'], safe='')}", rules, limits)
        if isinstance(access, dict) and isinstance(access.get("url"), str):
            return access["url"], _headers(access.get("headers"))
    raise OtherContent(f"{shown(url)} can't be had by https without a login: it offers no such access method.")


def _object(url: str, rules: HostRules, limits: Limits) -> Mapping[str, object]:
    found = value_of(fetch(url, rules, limits, headers={"Accept": "application/json"}))
    if not isinstance(found, dict):
        raise OtherContent(f"{shown(url)} answers with no object.")
    return found


def _headers(given: object) -> dict[str, str]:
    """Read ``["Name: value"]``; raise :class:`OtherContent` for what no request should have."""
    lines = given if isinstance(given, list) else []
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = str(line).partition(":")
        value = value.strip()
        plain = value.isascii() and value.isprintable()
        if not colon or not _NAME.fullmatch(name) or not plain or len(value) > MAX_HEADER or name.lower() in _OURS:
            raise OtherContent("The DRS server asks for a header that is not sent.")
        headers[name] = value
    if len(headers) > MAX_HEADERS:
        raise OtherContent(f"The DRS server asks for more than {MAX_HEADERS} headers.")
    return headers
