"""Which hosts the site allows (``[cwl] fetch_hosts``), and which addresses their names may lead to.

An entry is a name, an address (IPv6 in brackets) or a pattern with ``*``, and may end with a port, or ``:*`` for every
port; without, it stands for the ports 80 and 443. A pattern opens what is public and nothing else. A name that stands
there as it is may lead to the site's own network, too, but not to this machine and not to link-local addresses, where
clouds keep credentials: these must be named by their address (``localhost`` is one).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
DEFAULT_PORTS = (80, 443)
ANY = "*"
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_LOCALHOST = "localhost"


@dataclass(frozen=True)
class Entry:
    """One entry of ``[cwl] fetch_hosts``; ``port`` is None for the default ones, 0 for all."""

    name: str
    port: int | None

    @classmethod
    def parse(cls, text: str) -> Entry:
        """Read an entry; raise ValueError with what is wrong."""
        name, colon, port = text.rpartition(":")
        if not colon or text.endswith("]"):
            name, port = text, ""
        name = plain_name(name)
        if not name or any(character in name for character in "/@?# ") or (":" in name and not address_of(name)):
            raise ValueError(f"{text!r} is no host: write a name, a pattern such as *.example.org, or name:port")
        if port and port != ANY and not (port.isdecimal() and 0 < int(port) < 65536):
            raise ValueError(f"{text!r} has no port between 1 and 65535")
        return cls(name, None if not port else 0 if port == ANY else int(port))

    def fits(self, host: str, port: int) -> bool:
        """Whether a host, as :func:`plain_name` gives it, and a port are meant."""
        has_port = port in DEFAULT_PORTS if self.port is None else self.port in (0, port)
        return has_port and fnmatchcase(host, self.name.replace("[", "[[]").replace("?", "[?]"))

    @property
    def is_pattern(self) -> bool:
        """Whether it stands for names that nobody has written down."""
        return ANY in self.name


@dataclass(frozen=True)
class HostRules:
    """What may be fetched from; nothing without entries."""

    entries: tuple[Entry, ...] = ()

    @classmethod
    def of(cls, texts: Iterable[str]) -> HostRules:
        """Read entries; raise ValueError with what is wrong."""
        return cls(tuple(Entry.parse(text.strip()) for text in texts if text.strip()))

    def allows(self, host: str, port: int) -> bool:
        """Whether something may be fetched from a host by its name, wherever that leads."""
        name = plain_name(host)
        address = address_of(name)
        found = [entry for entry in self.entries if entry.fits(name, port)]
        if address is not None and not _is_public(address):
            return any(not entry.is_pattern for entry in found)
        return bool(found)

    def may_connect(self, host: str, port: int, address: IpAddress) -> bool:
        """Whether the name of an allowed host may lead to an address."""
        if _is_public(address):
            return True
        name = plain_name(host)
        if not any(entry.fits(name, port) and not entry.is_pattern for entry in self.entries):
            return False
        if address_of(name) is not None or name == _LOCALHOST:
            return True
        return not any(found.is_loopback or _is_special(found) for found in _meant(address))


def plain_name(host: str) -> str:
    """Return the name of a host as it is compared: small letters, no dot at the end, no brackets."""
    return host.strip().lower().rstrip(".").removeprefix("[").removesuffix("]")


def address_of(name: str) -> IpAddress | None:
    """Return the address that a name is, if it is one."""
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


def _is_public(address: IpAddress) -> bool:
    return all(found.is_global and not _is_special(found) for found in _meant(address))


def _is_special(address: IpAddress) -> bool:
    return address.is_link_local or address.is_multicast or address.is_unspecified or address.is_reserved


def _meant(address: IpAddress) -> list[IpAddress]:
    """Return an address, or the one of IPv4 within it that a packet to it would be sent to."""
    if isinstance(address, ipaddress.IPv4Address):
        return [address]
    if address.ipv4_mapped:
        return [address.ipv4_mapped]
    if address in _NAT64:
        return [ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)]
    if address.sixtofour:
        return [address, address.sixtofour]
    return [address, *(address.teredo or ())]
