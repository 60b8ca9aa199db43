"""What cwltool may read while it validates an upload: the files of the upload, and nothing else."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from schema_salad.exceptions import ValidationException
from schema_salad.fetcher import DefaultFetcher

from cwl_ui_plugin.cwl.compiler.aliases import MOST_NODES, multiplies

NETWORK_SCHEMES = ("http", "https")
_ESCAPED_PAIR = re.compile(r"(?<!\\)((?:\\\\)*)(\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})")


class LocalFetcher(DefaultFetcher):
    """schema_salad's fetcher, limited to one folder, links resolved; the network only where it is allowed.

    Without that limit ``$include: /etc/passwd`` would be read, and each undefined name would be looked up by HTTP.
    """

    def __init__(self, cache: Any, session: Any, root: Path, allow_network: bool) -> None:
        super().__init__(cache, session)
        self.root = root.resolve()
        self.allow_network = allow_network

    def fetch_text(self, url: str, content_types: list[str] | None = None) -> str:
        """Return the text of a document; raise ValidationException if it may not be read."""
        cached = self.cache.get(url)
        if isinstance(cached, str):
            return cached
        scheme = urlsplit(url).scheme
        if scheme == "file" and not self._is_inside(url):
            raise ValidationException(f"{_shown(url)} is not a file of the upload; only those can be referred to")
        if scheme in NETWORK_SCHEMES and not self.allow_network:
            raise ValidationException(
                f"{url} is on the network, and nothing is fetched from there; put the file into the upload"
            )
        text = str(super().fetch_text(url, content_types))
        if multiplies(text):
            raise ValidationException(
                f"{_shown(url)} has aliases (*name) that stand for more than {MOST_NODES:,} values; write less"
            )
        return joined_surrogates(text)

    def check_exists(self, url: str) -> bool:
        """Return whether a document is there; no look-ups on the network."""
        if url in self.cache:
            return True
        scheme = urlsplit(url).scheme
        if scheme in NETWORK_SCHEMES:
            return False
        if scheme == "file" and not self._is_inside(url):
            return False
        return bool(super().check_exists(url))

    def _is_inside(self, url: str) -> bool:
        return Path(unquote(urlsplit(url).path)).resolve().is_relative_to(self.root)


def joined_surrogates(text: str) -> str:
    """Return a document with each escaped surrogate pair (``\\ud83e\\uddec``) as the character that it means.

    JSON writes characters above U+FFFF so (RFC 8259, section 7); a YAML parser reads the halves as characters of their
    own, which nothing can write down afterwards. Half a pair stays as it is, as does what an escaped backslash begins.
    """
    return _ESCAPED_PAIR.sub(lambda found: found[1] + json.loads(f'"{found[2]}"'), text)


def local_fetcher(root: Path, allow_network: bool) -> Callable[[Any, Any], LocalFetcher]:
    """Return what cwltool's LoadingContext takes as ``fetcher_constructor``."""

    def construct(cache: Any, session: Any) -> LocalFetcher:
        return LocalFetcher(cache, session, root, allow_network)

    return construct


def _shown(url: str) -> str:
    return unquote(urlsplit(url).path) or url
