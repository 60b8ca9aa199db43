"""Fetching by http and https: bounded in bytes, seconds and redirects, each of which is checked like the first address.

No login, cookie or netrc is sent. Nothing is decompressed: servers are asked for the content as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import getproxies, proxy_bypass

import httpcore
import httpx

from cwl_ui_plugin.fetching.checksums import Checksums
from cwl_ui_plugin.fetching.connecting import READ_SECONDS, CheckedBackend, Deadline
from cwl_ui_plugin.fetching.errors import Away, FetchError, HostNotAllowed, NotThere, OtherContent, TooMuch
from cwl_ui_plugin.fetching.hosts import HostRules
from cwl_ui_plugin.fetching.limits import Limits
from cwl_ui_plugin.fetching.received import receive
from cwl_ui_plugin.version import __version__

SCHEMES = ("http", "https")
MAX_REDIRECTS = 5
_SHOWN_CHARACTERS = 200
_REDIRECTS = (301, 302, 303, 307, 308)
_NOT_NOW = (408, 425, 429, 500, 502, 503, 504)
_PACKED_SUFFIXES = (".gz", ".tgz", ".bgz")
"""Files that some servers call encoded with gzip, and that are meant as they are."""
_PORTS = {"http": 80, "https": 443}
_TIMEOUTS = dict.fromkeys(("connect", "read", "write", "pool"), READ_SECONDS)
_TROUBLE = (
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    httpcore.TimeoutException,
    httpcore.UnsupportedProtocol,
)


@dataclass(frozen=True)
class Answer:
    """What a server gave: the address it came from in the end, headers in small letters."""

    url: str
    headers: Mapping[str, str]
    content: bytes


@dataclass(frozen=True)
class Received:
    """A file that was fetched: the address it came from in the end, its bytes, its SHA-256."""

    url: str
    size: int
    sha256: str


def fetch(url: str, rules: HostRules, limits: Limits, *, headers: Mapping[str, str] | None = None) -> Answer:
    """Return what is at an address. ``headers`` go to its host only, not to where that redirects to.

    Raises:
        FetchError: in words, see ``errors``.

    """
    with _opened(url, rules, limits, headers or {}) as (final, response):
        content = b"".join(_chunks(final, response, limits))
        return Answer(final, _headers(response), content)


def fetch_file(
    url: str,
    path: Path,
    rules: HostRules,
    limits: Limits,
    *,
    headers: Mapping[str, str] | None = None,
    checksums: Checksums | None = None,
    on_chunk: Callable[[int], None] = lambda _size: None,
) -> Received:
    """Put what is at an address into a file, which is there whole and with the given checksums, or not at all.

    ``on_chunk`` is told how much has come; what it raises ends the transfer.

    Raises:
        FetchError: in words, see ``errors``.
        OSError: the file can't be written.

    """
    with _opened(url, rules, limits, headers or {}) as (final, response):
        chunks = _chunks(final, response, limits)
        size, digest = receive(chunks, path, shown(url), checksums or {}, on_chunk)
    return Received(final, size, digest)


def check_address(url: str, rules: HostRules) -> httpx.URL:
    """Return an address that may be fetched from, as far as its text tells.

    Raises:
        HostNotAllowed: with the option that allows hosts.

    """
    try:
        address = httpx.URL(url)
        port = address.port or _PORTS.get(address.scheme, 0)
    except (httpx.InvalidURL, ValueError) as error:
        raise HostNotAllowed(f"{url[:_SHOWN_CHARACTERS]!r} is no address: {error}.") from None
    if address.scheme not in SCHEMES or not address.host or not 0 < port < 65536:
        raise HostNotAllowed(f"{shown(url)} is not fetched: only http:// and https:// with a host are.")
    if address.userinfo:
        raise HostNotAllowed(f"The address at {address.host} has a login in it, which is sent nowhere. Leave it out.")
    if not rules.allows(address.host, port):
        name = address.host if address.port is None else f"{address.host}:{address.port}"
        raise HostNotAllowed(
            f"This site does not fetch anything from {name}. An administrator can allow the host in [cwl] fetch_hosts."
        )
    return address.copy_with(fragment=None)


def proxy_of(scheme: str, host: str) -> str | None:
    """Return the proxy that the environment names for a host."""
    proxies = getproxies()
    proxy = proxies.get(scheme) or proxies.get("all")
    return proxy if proxy and not proxy_bypass(host) else None


def shown(url: str) -> str:
    """Return an address for messages: without its query, which may hold the key to what is there."""
    return url.partition("#")[0].partition("?")[0][:_SHOWN_CHARACTERS]


def name_in(url: str) -> str:
    """Return the name of a file that is at an address: the last part of its path; nothing for what is no address."""
    try:
        return httpx.URL(url).path.rstrip("/").rpartition("/")[2]  # httpx has taken the % out of it
    except (httpx.InvalidURL, ValueError):
        return ""


@contextmanager
def _opened(
    url: str, rules: HostRules, limits: Limits, headers: Mapping[str, str]
) -> Iterator[tuple[str, httpcore.Response]]:
    """Follow redirects; yield the last address with its answer, of which nothing was read yet."""
    deadline = Deadline(
        limits.seconds, f"{shown(url)} did not come within {limits.seconds:g} seconds ({limits.seconds_option})."
    )
    current = check_address(url, rules)
    for _hop in range(MAX_REDIRECTS + 1):
        with _pool(current, rules, deadline) as pool, _in_words(current), _asked(pool, current, headers) as response:
            if response.status not in _REDIRECTS:
                _check_answer(current, response, limits)
                yield str(current), response
                return
            following = _followed(current, _headers(response).get("location", ""), rules)
        if (following.scheme, following.host, following.port) != (current.scheme, current.host, current.port):
            headers = {}
        current = following
    raise TooMuch(f"{shown(url)} redirects more than {MAX_REDIRECTS} times; the last time to {shown(str(current))}.")


def _asked(
    pool: httpcore.ConnectionPool, url: httpx.URL, headers: Mapping[str, str]
) -> AbstractContextManager[httpcore.Response]:
    own = {"Host": url.netloc.decode(), "User-Agent": f"cwl-ui-plugin/{__version__}", "Accept-Encoding": "identity"}
    return pool.stream(
        "GET",
        httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
        headers=[*headers.items(), *own.items()],
        extensions={"timeout": _TIMEOUTS},
    )


def _pool(url: httpx.URL, rules: HostRules, deadline: Deadline) -> httpcore.ConnectionPool:
    context = httpx.create_ssl_context() if url.scheme == "https" else None
    proxy = proxy_of(url.scheme, url.host)
    if proxy is None:
        return httpcore.ConnectionPool(ssl_context=context, network_backend=CheckedBackend(rules, deadline))
    parsed = httpx.Proxy(proxy if "://" in proxy else f"http://{proxy}")
    if parsed.url.scheme not in SCHEMES:
        raise HostNotAllowed(f"The environment names a proxy by {parsed.url.scheme}; only http and https work.")
    return httpcore.HTTPProxy(
        proxy_url=str(parsed.url),
        proxy_auth=parsed.raw_auth,
        ssl_context=context,
        network_backend=CheckedBackend(None, deadline),
    )


def _followed(url: httpx.URL, location: str, rules: HostRules) -> httpx.URL:
    try:
        following = url.join(location) if location else None
    except (httpx.InvalidURL, ValueError):
        following = None
    if following is None:
        raise OtherContent(f"{shown(str(url))} redirects to {location[:_SHOWN_CHARACTERS]!r}, which is no address.")
    if url.scheme == "https" and following.scheme == "http":
        raise HostNotAllowed(f"{shown(str(url))} redirects from https to http; that is not followed.")
    try:
        return check_address(str(following), rules)
    except HostNotAllowed as error:
        raise HostNotAllowed(f"{shown(str(url))} redirects to {shown(str(following))}. {error}") from None


def _check_answer(url: httpx.URL, response: httpcore.Response, limits: Limits) -> None:
    address, headers = shown(str(url)), _headers(response)
    if response.status in _NOT_NOW:
        raise Away(f"{address} can't be had now: the server answered {response.status}. Try again later.")
    if response.status != 200:
        raise NotThere(f"{address} can't be fetched: the server answered {response.status}.", response.status)
    encoding = headers.get("content-encoding", "identity").lower()
    if encoding != "identity" and not url.path.lower().endswith(_PACKED_SUFFIXES):
        raise OtherContent(f"{address} came compressed ({encoding[:40]}), which was not asked for.")
    announced = headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limits.size:
        raise _too_large(address, limits)


def _chunks(url: str, response: httpcore.Response, limits: Limits) -> Iterator[bytes]:
    size = 0
    for chunk in response.iter_stream():
        size += len(chunk)
        if size > limits.size:
            raise _too_large(shown(url), limits)
        yield chunk


def _too_large(address: str, limits: Limits) -> TooMuch:
    return TooMuch(f"{address} is larger than {limits.size} bytes ({limits.size_option}).")


def _headers(response: httpcore.Response) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}


@contextmanager
def _in_words(url: httpx.URL) -> Iterator[None]:
    try:
        yield
    except FetchError:
        raise
    except _TROUBLE as error:
        if isinstance(error, httpcore.TimeoutException):
            reason = f"it was silent for {READ_SECONDS:.0f} seconds"
        else:
            reason = str(error)[:_SHOWN_CHARACTERS] or type(error).__name__
        raise Away(f"{shown(str(url))} can't be had now: {reason}.") from error
