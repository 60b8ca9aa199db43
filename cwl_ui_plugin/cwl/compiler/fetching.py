"""What cwltool may read while it validates an upload: its files, and what the site lets be fetched."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import unquote, urlsplit

from cwl_ui_client.yaml_bounds import what_is_wrong
from schema_salad.exceptions import ValidationException
from schema_salad.fetcher import DefaultFetcher

from cwl_ui_plugin.cwl.malformed_documents import NOT_IN_UPLOAD
from cwl_ui_plugin.fetching.errors import FetchError
from cwl_ui_plugin.fetching.fetch import SCHEMES, fetch
from cwl_ui_plugin.fetching.hosts import HostRules
from cwl_ui_plugin.fetching.limits import Limits

if TYPE_CHECKING:
    from schema_salad.utils import CacheType

Session: TypeAlias = Any
"""Of requests, which is a matter between schema_salad and cwltool: it is only handed on."""

_LIMITS = Limits(4 * 1024 * 1024, "the most that a document may have", 60, "the most that a document may take")
_ESCAPED_PAIR = re.compile(r"(?<!\\)((?:\\\\)*)(\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})")


class LocalFetcher(DefaultFetcher):
    """schema_salad's fetcher, limited to one folder, links resolved; the network only where its hosts are allowed.

    Without that limit ``$include: /etc/passwd`` would be read, and each undefined name would be looked up by HTTP.
    """

    def __init__(self, cache: CacheType, session: Session, root: Path, hosts: HostRules) -> None:
        super().__init__(cache, session)
        self.root = root.resolve()
        self.hosts = hosts

    def fetch_text(self, url: str, content_types: list[str] | None = None) -> str:
        """Return the text of a document; raise ValidationException if it may not be read."""
        cached = self.cache.get(url)
        if isinstance(cached, str):
            return cached
        scheme = urlsplit(url).scheme
        if scheme == "file" and not self._is_inside(url):
            raise ValidationException(f"{_path(url)} is not a file of the upload; only those can be referred to")
        if scheme == "file":
            self._check_file(url)
        try:
            text = self._fetched(url) if scheme in SCHEMES else str(super().fetch_text(url, content_types))
        except UnicodeDecodeError as error:
            raise ValidationException(
                f"{self._name(url)} is no text in UTF-8 (byte {error.start}); save it as UTF-8"
            ) from error
        if wrong := what_is_wrong(text):
            raise ValidationException(f"{self._name(url)} {wrong}")
        return joined_surrogates(text)

    def check_exists(self, url: str) -> bool:
        """Return whether a document is there; no look-ups on the network."""
        if url in self.cache:
            return True
        scheme = urlsplit(url).scheme
        if scheme in SCHEMES:
            return False
        if scheme == "file" and not self._is_inside(url):
            return False
        return bool(super().check_exists(url))

    def _fetched(self, url: str) -> str:
        if not self.hosts.entries:
            raise ValidationException(
                f"{url} is on the network, and nothing is fetched from there; put the file into the upload"
            )
        try:
            return fetch(url, self.hosts, _LIMITS).content.decode()
        except FetchError as error:
            raise ValidationException(str(error)) from error

    def _is_inside(self, url: str) -> bool:
        return _path(url).resolve().is_relative_to(self.root)

    def _check_file(self, url: str) -> None:
        path = _path(url)
        if path.is_dir():
            raise ValidationException(f"{self._name(url)} is a folder, where a document is needed; name a file in it")
        if not path.exists():
            raise ValidationException(f"{self._name(url)} {NOT_IN_UPLOAD}")

    def _name(self, url: str) -> str:
        """Return what a document of the upload is called there; the address of one on the network."""
        path = _path(url).resolve()
        return str(path.relative_to(self.root)) if urlsplit(url).scheme == "file" else url


def joined_surrogates(text: str) -> str:
    """Return a document with each escaped surrogate pair (``\\ud83e\\uddec``) as the character that it means.

    JSON writes characters above U+FFFF so (RFC 8259, section 7); a YAML parser reads the halves as characters of their
    own, which nothing can write down afterwards. Half a pair stays as it is, as does what an escaped backslash begins.
    """
    return _ESCAPED_PAIR.sub(lambda found: found[1] + json.loads(f'"{found[2]}"'), text)


def local_fetcher(root: Path, hosts: HostRules) -> Callable[[CacheType, Session], LocalFetcher]:
    """Return what cwltool's LoadingContext takes as ``fetcher_constructor``."""

    def construct(cache: CacheType, session: Session) -> LocalFetcher:
        return LocalFetcher(cache, session, root, hosts)

    return construct


def _path(url: str) -> Path:
    return Path(unquote(urlsplit(url).path))
