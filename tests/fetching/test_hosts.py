"""Which hosts a site allows, and which addresses their names may lead to."""

from __future__ import annotations

import ipaddress

import pytest

from cwl_ui_plugin.fetching.hosts import HostRules


def rules(text: str) -> HostRules:
    return HostRules.of(text.split(","))


def leads(text: str, host: str, address: str, port: int = 443) -> bool:
    return rules(text).may_connect(host, port, ipaddress.ip_address(address))


def test_nothing_is_allowed_where_nothing_is_named() -> None:
    assert not HostRules().allows("example.org", 443)
    assert not rules(" , ").allows("example.org", 443)


@pytest.mark.parametrize(
    ("text", "host", "port", "allowed"),
    [
        ("example.org", "example.org", 443, True),
        ("example.org", "EXAMPLE.org.", 80, True),
        ("example.org", "example.org", 8080, False),
        ("example.org:8080", "example.org", 8080, True),
        ("example.org:8080", "example.org", 443, False),
        ("example.org:*", "example.org", 22, True),
        ("example.org", "example.org.evil.net", 443, False),
        ("*.example.org", "data.example.org", 443, True),
        ("*.example.org", "example.org", 443, False),
        ("*.example.org", "evilexample.org", 443, False),
        ("*", "example.org", 443, True),
        ("*", "127.0.0.1", 80, False),
        ("*", "169.254.169.254", 80, False),
        ("*", "[::1]", 80, False),
        ("*:*", "10.0.0.1", 80, False),
        ("127.0.0.*", "127.0.0.1", 80, False),
        ("127.0.0.1:80", "127.0.0.1", 80, True),
        ("[::1]:8000", "::1", 8000, True),
        ("[::1]", "[::1]", 80, True),
        ("data[0].org", "data0.org", 443, False),
    ],
)
def test_hosts_are_allowed_by_name_pattern_and_port(text: str, host: str, port: int, allowed: bool) -> None:
    assert rules(text).allows(host, port) is allowed


@pytest.mark.parametrize(
    ("text", "address", "allowed"),
    [
        ("example.org", "93.184.215.14", True),
        ("*.org", "93.184.215.14", True),
        ("*.org", "10.1.2.3", False),
        ("example.org", "10.1.2.3", True),
        ("example.org", "fd00::1", True),
        ("example.org", "127.0.0.1", False),
        ("example.org", "::1", False),
        ("example.org", "169.254.169.254", False),
        ("example.org", "fe80::1", False),
        ("example.org", "::ffff:127.0.0.1", False),
        ("example.org", "::ffff:169.254.169.254", False),
        ("example.org", "64:ff9b::a9fe:a9fe", False),
        ("example.org", "2002:7f00:1::1", False),
        ("example.org", "0.0.0.0", False),
        ("example.org", "224.0.0.1", False),
        ("*", "::ffff:10.0.0.1", False),
    ],
)
def test_a_name_may_not_lead_just_anywhere(text: str, address: str, allowed: bool) -> None:
    assert leads(text, "example.org", address) is allowed


def test_this_machine_is_named_by_its_address() -> None:
    assert leads("127.0.0.1", "127.0.0.1", "127.0.0.1")
    assert leads("localhost", "localhost", "::1")
    assert not leads("127.0.0.2", "127.0.0.1", "127.0.0.1")
    assert leads("169.254.1.1", "169.254.1.1", "169.254.1.1"), "named by an administrator"


@pytest.mark.parametrize("entry", ["https://example.org", "example.org:0", "example.org:http", "a b", "::1", "x/y"])
def test_what_is_no_host_is_refused(entry: str) -> None:
    with pytest.raises(ValueError, match=r"no host|no port"):
        HostRules.of([entry])
