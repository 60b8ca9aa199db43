"""Channels: ways to tell somebody something, which ``[cwl] notifiers`` names. Users choose among them.

A channel is a notifier class of Airflow with its arguments. What is told comes to it as values of a Jinja template,
``{{ cwl.subject }}``: so nothing in a message is ever read as a template, and no user names a host or a class.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from cwl_ui_plugin import config
from cwl_ui_plugin.services.errors import BadRequest

if TYPE_CHECKING:
    from airflow.sdk.bases.notifier import BaseNotifier

OPTION = "notifiers"
NO_ADDRESS, EMAIL, NAME = "none", "email", "name"
MAX_ADDRESS = 254
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_EMAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?P<domain>[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)")
_CHAT_NAME = re.compile(r"[@#]?[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
_KEYS = {"class", "args", "title", "address", "domains"}


@dataclass(frozen=True)
class Channel:
    """A way to tell somebody something. ``address`` says what a user gives: nothing, an e-mail address or a name."""

    name: str
    title: str
    address: str
    domains: tuple[str, ...]
    notifier: str
    args: Mapping[str, Any]

    def check_address(self, text: str) -> str:
        """Return the address that somebody has given; raise :class:`BadRequest` if the channel takes no such."""
        found = text.strip()
        if self.address == NO_ADDRESS:
            return ""
        if self.address == NAME:
            if not _CHAT_NAME.fullmatch(found):
                raise BadRequest(f"{found[:80]!r} is no name of a user or a channel.", field="address")
            return found
        match = _EMAIL.fullmatch(found)
        if not match or len(found) > MAX_ADDRESS:
            raise BadRequest(f"{found[:80]!r} is no e-mail address.", field="address")
        if self.domains and match["domain"].lower() not in self.domains:
            known = ", ".join(self.domains)
            raise BadRequest(f"This site sends mail to addresses of {known} only.", field="address")
        return found

    def send(self, told: Mapping[str, str]) -> None:
        """Tell it; raise whatever the notifier raises.

        Airflow's way to call a notifier logs what goes wrong and says nothing; so it is not called that way.
        """
        notifier = self._notifier()
        context: Any = {"cwl": dict(told)}
        notifier.render_template_fields(context)
        notifier.notify(context)

    def problem(self) -> str:
        """Return why the channel is of no use; empty if it is."""
        try:
            self._notifier()
        except Exception as error:
            return f"{self.notifier} can't be used: {error}"
        return ""

    def _notifier(self) -> BaseNotifier:
        from airflow.sdk.bases.notifier import BaseNotifier

        from cwl_ui_plugin.services.notifying.loading import imported

        kind = imported(self.notifier)
        if not (isinstance(kind, type) and issubclass(kind, BaseNotifier)):
            raise config.ConfigError("it is no notifier of Airflow")
        return partial(kind, **self.args)()


def channels() -> dict[str, Channel]:
    """Return the channels of this site by their names.

    Raises:
        ConfigError: the option is of no use.

    """
    text = config.text(OPTION).strip()
    if not text:
        return {}
    try:
        found = json.loads(text)
    except ValueError as error:
        raise _wrong(f"is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise _wrong('must be an object such as {"mail": {"class": ..., "args": {...}}}')
    return {name: _channel(name, value) for name, value in found.items()}


def usable_channels() -> dict[str, Channel]:
    """Return the channels of this site; none where the option is of no use, which the settings page tells."""
    try:
        return channels()
    except config.ConfigError:
        return {}


def problems() -> list[str]:
    """Return what is wrong with the option and with each channel, for administrators."""
    try:
        found = channels()
    except config.ConfigError as error:
        return [str(error)]
    return [f"{name}: {problem}" for name, channel in found.items() if (problem := channel.problem())]


def _channel(name: str, value: object) -> Channel:
    if not _NAME.fullmatch(name):
        raise _wrong(f"has the name {name!r}: use small letters, digits, '-' and '_'")
    if not isinstance(value, dict) or not isinstance(value.get("class"), str) or value.keys() - _KEYS:
        raise _wrong(f"must give {name!r} a class, and besides {', '.join(sorted(_KEYS - {'class'}))} only")
    args, domains = value.get("args", {}), value.get("domains", [])
    if not isinstance(args, dict) or not isinstance(domains, list):
        raise _wrong(f"must give {name!r} args that are an object, and domains that are a list")
    address = value.get("address", EMAIL if "cwl.address" in json.dumps(args) else NO_ADDRESS)
    if address not in (NO_ADDRESS, EMAIL, NAME):
        raise _wrong(f"must give {name!r} an address of the kind {NO_ADDRESS}, {EMAIL} or {NAME}")
    title = str(value.get("title") or name.capitalize())
    return Channel(name, title, address, tuple(str(one).lower() for one in domains), value["class"], args)


def _wrong(words: str) -> config.ConfigError:
    return config.ConfigError(f"[{config.SECTION}] {OPTION} {words}.")
