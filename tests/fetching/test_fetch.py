"""Fetching from servers that lie, loop, hang, drip, and never end."""

from __future__ import annotations

import gzip
import hashlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import httpcore
import pytest
from support.web import Web, endless, giving, redirecting, web

from cwl_ui_plugin.fetching import connecting
from cwl_ui_plugin.fetching.errors import Away, FetchError, HostNotAllowed, NotThere, OtherContent, TooMuch
from cwl_ui_plugin.fetching.fetch import check_address, fetch, fetch_file
from cwl_ui_plugin.fetching.hosts import HostRules
from cwl_ui_plugin.fetching.limits import Limits

LIMITS = Limits(1000, "[cwl] max_input_size", 60, "[cwl] fetch_input_timeout")
SHORT = replace(LIMITS, seconds=0.5)


@pytest.fixture
def site() -> Iterator[Web]:
    with web() as running:
        yield running


@pytest.fixture(autouse=True)
def without_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def allowed(*sites: Web) -> HostRules:
    return HostRules.of([site.host for site in sites])


def test_what_is_there_is_fetched(site: Web) -> None:
    url = site.put("/tool.cwl", b"cwlVersion: v1.2")
    answer = fetch(f"{url}?version=1#main", allowed(site), LIMITS)
    assert answer.content == b"cwlVersion: v1.2"
    assert site.asked == ["/tool.cwl?version=1"]
    assert site.headers[0]["accept-encoding"] == "identity"
    assert "authorization" not in site.headers[0]


def test_nothing_is_asked_of_a_host_that_is_not_allowed(site: Web) -> None:
    url = site.put("/x", b"x")
    with pytest.raises(HostNotAllowed, match=r"127\.0\.0\.1:\d+.*\[cwl\] fetch_hosts"):
        fetch(url, HostRules.of(["*:*", "example.org"]), LIMITS)
    assert site.asked == []


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://127.0.0.1/x",
        "gopher://127.0.0.1/x",
        "http://",
        "http:///x",
        "//127.0.0.1/x",
        "http://user:secret@127.0.0.1/",
        "http://[::1",
        "http://127.0.0.1:99999/",
        "http://a\nb/",
        "",
    ],
)
def test_other_addresses_are_refused_in_words(url: str) -> None:
    with pytest.raises(HostNotAllowed) as caught:
        check_address(url, HostRules.of(["*:*", "127.0.0.1:*"]))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "location",
    ["http://169.254.169.254/latest/meta-data/", "file:///etc/passwd", "http://localhost/", "http://evil.example/"],
)
def test_a_redirect_is_checked_like_the_first_address(site: Web, location: str) -> None:
    site.pages["/x"] = redirecting(location)
    with pytest.raises(HostNotAllowed, match="redirects to"):
        fetch(site.url("/x"), allowed(site), LIMITS)


def test_redirects_are_followed_to_allowed_hosts_without_headers(site: Web) -> None:
    with web() as other:
        site.pages["/x"] = redirecting("/y")
        site.pages["/y"] = redirecting(other.put("/z", b"there"), 307)
        answer = fetch(site.url("/x"), allowed(site, other), LIMITS, headers={"Authorization": "Bearer secret"})
        assert answer.content == b"there"
        assert answer.url == other.url("/z")
        assert "authorization" not in other.headers[0]
    assert [headers["authorization"] for headers in site.headers] == ["Bearer secret"] * 2


@pytest.mark.parametrize("location", ["", "http://[::1"])
def test_a_redirect_to_nowhere_is_told(site: Web, location: str) -> None:
    site.pages["/x"] = redirecting(location)
    with pytest.raises(OtherContent, match="which is no address"):
        fetch(site.url("/x"), allowed(site), LIMITS)


def test_a_loop_of_redirects_ends(site: Web) -> None:
    site.pages["/x"] = redirecting("/x")
    with pytest.raises(TooMuch, match="more than 5 times"):
        fetch(site.url("/x"), allowed(site), LIMITS)
    assert len(site.asked) == 6


def test_an_endless_body_is_cut(site: Web, tmp_path: Path) -> None:
    site.pages["/x"] = endless
    with pytest.raises(TooMuch, match=r"larger than 1000 bytes \(\[cwl\] max_input_size\)"):
        fetch_file(site.url("/x"), tmp_path / "x", allowed(site), LIMITS)
    assert list(tmp_path.iterdir()) == []


def test_an_announced_size_is_refused_before_it_comes(site: Web) -> None:
    site.pages["/x"] = giving(b"", Content_Length="1001")
    with pytest.raises(TooMuch, match="max_input_size"):
        fetch(site.url("/x"), allowed(site), LIMITS)


def test_a_server_that_hangs_is_given_up(site: Web) -> None:
    site.pages["/x"] = site.hang
    with pytest.raises((TooMuch, Away)):
        fetch(site.url("/x"), allowed(site), SHORT)


def _dripping(site: Web, start: bytes) -> None:
    def page(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(start)
        while not site.over.wait(0.02):
            handler.wfile.write(b"x")

    site.pages["/x"] = page


@pytest.mark.parametrize("start", [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nX-Long: ", b"HTTP/1.1 2"])
def test_a_server_that_drips_is_given_up(site: Web, start: bytes) -> None:
    _dripping(site, start)
    with pytest.raises((TooMuch, Away)) as caught:
        fetch(site.url("/x"), allowed(site), replace(SHORT, size=10**9))
    assert site.url("/x") in str(caught.value)


def test_a_body_that_breaks_off_is_no_content(site: Web, tmp_path: Path) -> None:
    site.pages["/x"] = giving(b"half", Content_Length="8")
    with pytest.raises(Away, match="can't be had now") as caught:
        fetch_file(site.url("/x"), tmp_path / "x", allowed(site), LIMITS)
    assert caught.value.may_pass
    assert list(tmp_path.iterdir()) == []


def test_what_is_compressed_is_never_unpacked(site: Web) -> None:
    bomb = gzip.compress(b"\0" * 300_000)
    site.put("/x", bomb, Content_Encoding="gzip")
    site.put("/x.gz", bomb, Content_Encoding="gzip")
    with pytest.raises(OtherContent, match="compressed"):
        fetch(site.url("/x"), allowed(site), LIMITS)
    assert fetch(site.url("/x.gz"), allowed(site), LIMITS).content == bomb


@pytest.mark.parametrize(("status", "error"), [(404, NotThere), (401, NotThere), (206, NotThere), (503, Away)])
def test_what_a_server_answers_is_told(site: Web, status: int, error: type[FetchError]) -> None:
    site.pages["/x"] = giving(b"", status)
    with pytest.raises(error, match=str(status)):
        fetch(f"{site.url('/x')}?key=secret", allowed(site), LIMITS)


def test_who_does_not_answer_is_away() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(Away, match="can't be had now"):
            fetch(f"http://{host}/", HostRules.of([host]), LIMITS)


def test_what_is_no_http_is_told(site: Web) -> None:
    site.pages["/x"] = lambda handler: handler.wfile.write(b"\x16\x03\x01 hello\r\n\r\n") and None
    with pytest.raises(Away):
        fetch(site.url("/x"), allowed(site), LIMITS)


def test_a_file_comes_whole_and_with_its_checksums(site: Web, tmp_path: Path) -> None:
    url, seen = site.put("/x", b"reads"), list[int]()
    sums = {"md5": hashlib.md5(b"reads").hexdigest(), "sha256": hashlib.sha256(b"reads").hexdigest()}
    received = fetch_file(url, tmp_path / "x", allowed(site), LIMITS, checksums=sums, on_chunk=seen.append)
    assert (received.size, received.sha256, seen) == (5, sums["sha256"], [5])
    assert (tmp_path / "x").read_bytes() == b"reads"
    with pytest.raises(OtherContent, match=r"its md5 is .*, expected was 0{32}"):
        fetch_file(url, tmp_path / "y", allowed(site), LIMITS, checksums={"md5": "0" * 32})
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


class _Stopped(Exception):
    pass


def test_whoever_follows_can_end_it(site: Web, tmp_path: Path) -> None:
    site.pages["/x"] = endless

    def stop(_size: int) -> None:
        raise _Stopped

    with pytest.raises(_Stopped):
        fetch_file(site.url("/x"), tmp_path / "x", allowed(site), replace(LIMITS, size=10**9), on_chunk=stop)
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_leads_elsewhere_later_gains_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS rebinding: the address that was checked is the one that is connected to, each time."""
    answers = ["93.184.215.14", "127.0.0.1"]
    connected: list[str] = []

    def resolve(_host: str, port: int, **_options: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (answers.pop(0), port))]

    def connect(_backend: object, host: str, *_args: object) -> None:
        connected.append(host)
        raise httpcore.ConnectError("not here")

    monkeypatch.setattr(connecting.socket, "getaddrinfo", resolve)
    monkeypatch.setattr(httpcore.SyncBackend, "connect_tcp", connect)
    rules = HostRules.of(["evil.example"])
    with pytest.raises(Away, match="not here"):
        fetch("http://evil.example/x", rules, LIMITS)
    with pytest.raises(HostNotAllowed, match=r"evil\.example leads to 127\.0\.0\.1, which is no public address"):
        fetch("http://evil.example/x", rules, LIMITS)
    assert connected == ["93.184.215.14"]
    assert answers == []


def test_a_resolver_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()
    monkeypatch.setattr(connecting.socket, "getaddrinfo", lambda *_args, **_options: over.wait() and [])
    try:
        with pytest.raises(TooMuch, match=r"within 0\.5 seconds"):
            fetch("http://slow.example/", HostRules.of(["slow.example"]), SHORT)
    finally:
        over.set()


def test_the_proxy_of_the_environment_is_used(site: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", site.url("/"))
    site.pages["http://data.example/x"] = giving(b"by proxy")
    rules = HostRules.of(["data.example"])
    assert fetch("http://data.example/x", rules, LIMITS).content == b"by proxy"
    assert site.headers[0]["host"] == "data.example"
    with pytest.raises(HostNotAllowed):
        fetch("http://169.254.169.254/x", rules, LIMITS)


def test_a_deadline_says_what_is_left() -> None:
    deadline = connecting.Deadline(1000, "too late")
    assert 0 < deadline.left() <= connecting.READ_SECONDS
    assert deadline.left(5) == 5
    passed = connecting.Deadline(0, "too late")
    with pytest.raises(TooMuch, match="too late"):
        passed.left()
