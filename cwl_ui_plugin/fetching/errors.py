"""Why something could not be fetched; ``str()`` is a sentence for users, with the address, the limit and its option.

FetchError
├── HostNotAllowed  the site does not let anything be fetched from there
├── TooMuch         more bytes, redirects or seconds than allowed
├── Away            nobody answers, or not now: trying again later may work
├── NotThere        the server has no such thing, or does not give it to everybody
└── OtherContent    what came is not what was announced
"""

from __future__ import annotations


class FetchError(Exception):
    """Base of these errors; ``may_pass``: trying again later may work."""

    may_pass = False


class HostNotAllowed(FetchError):
    """The site does not let anything be fetched from there."""


class TooMuch(FetchError):
    """More bytes, redirects or seconds than allowed."""


class Away(FetchError):
    """Nobody answers, or not now."""

    may_pass = True


class NotThere(FetchError):
    """The server has no such thing, or does not give it to everybody; ``status`` is what it answered."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class OtherContent(FetchError):
    """What came is not what was announced."""
