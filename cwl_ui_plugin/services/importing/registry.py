"""A GA4GH TRS 2.0 registry as a client sees it: the files of a version, with their checksums. Answers may be lies."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from cwl_ui_plugin import config
from cwl_ui_plugin.fetching.checksums import Hashing, given_checksums
from cwl_ui_plugin.fetching.errors import NotThere, OtherContent
from cwl_ui_plugin.fetching.json_answers import value_of
from cwl_ui_plugin.services.importing.addresses import TrsSource
from cwl_ui_plugin.services.importing.budget import Budget

PRIMARY = "PRIMARY_DESCRIPTOR"
_LEFT_OUT = ("TEST_FILE", "CONTAINERFILE")
_NO_FILES = (400, 404, 405, 406, 501)
"""What servers answer that know of no list of files."""
_SHOWN_VERSIONS = 8
_SHOWN = 100
MAX_PATH = 1000
"""Characters of the path of a file: one that leads far up makes the names of all others long."""
_FOLDER = "descriptors"


@dataclass(frozen=True)
class Descriptors:
    """The files of a version, by names that stay in one folder; ``verified`` of them had a checksum that was right."""

    files: Mapping[str, bytes]
    main: str
    version: str
    verified: int


def descriptors(source: TrsSource, budget: Budget) -> Descriptors:
    """Fetch the CWL documents of a tool's version, and what else is listed with them.

    Raises:
        FetchError: there is no such version, or it is not what the registry says it is.

    """
    version = source.version or _only_version(source, budget)
    below = f"{source.url}/versions/{quote(version, safe='')}"
    try:
        listed = _list(budget, f"{below}/CWL/files")
    except NotThere as error:
        if error.status not in _NO_FILES:
            raise
        return _single(below, version, budget)
    entries = [item for item in listed if isinstance(item, dict) and item.get("file_type") not in _LEFT_OUT]
    if len(entries) > (most := int(config.number("max_unpacked_files"))):
        raise OtherContent(
            f"{source.url} lists {len(entries)} files; at most {most} are allowed ([cwl] max_unpacked_files)."
        )
    names = _names([_path(item) for item in entries], source)
    files: dict[str, bytes] = {}
    verified = 0
    for item, name in zip(entries, names, strict=True):
        path = _path(item)
        safe = "" if ".." in path or path.startswith("/") else "/"
        url = f"{below}/PLAIN_CWL/descriptor/{quote(path, safe=safe)}"
        files[name] = budget.content(url, "text/plain")
        verified += _check(files[name], item.get("checksum"), path)
    primary = [name for item, name in zip(entries, names, strict=True) if item.get("file_type") == PRIMARY]
    if len(primary) != 1:
        raise OtherContent(f"{source.url}, version {version}, names {len(primary)} main documents instead of one.")
    return Descriptors(files, primary[0], version, verified)


def _only_version(source: TrsSource, budget: Budget) -> str:
    found = value_of(budget.document(source.url))
    listed = found.get("versions") if isinstance(found, dict) else None
    ids = [str(item["id"]) for item in listed or () if isinstance(item, dict) and item.get("id")]
    if len(ids) == 1:
        return ids[0]
    if not ids:
        raise OtherContent(f"{source.url} has no versions.")
    shown = [name[:_SHOWN] for name in ids[:_SHOWN_VERSIONS]]
    others = f" and {len(ids) - _SHOWN_VERSIONS} more" if len(ids) > _SHOWN_VERSIONS else ""
    raise OtherContent(f"Which version is meant? Name it: {', '.join(shown)}{others}.")


def _single(below: str, version: str, budget: Budget) -> Descriptors:
    """Return the one document of a registry that lists no files."""
    wrapper = value_of(budget.document(f"{below}/CWL/descriptor"))
    content = wrapper.get("content") if isinstance(wrapper, dict) else None
    if not isinstance(content, str):
        raise OtherContent(f"{below} gives no CWL document.")
    verified = _check(content.encode(), wrapper.get("checksum"), "the document")
    return Descriptors({"main.cwl": content.encode()}, "main.cwl", version, verified)


def _list(budget: Budget, url: str) -> list[object]:
    found = value_of(budget.document(url))
    if not isinstance(found, list):
        raise OtherContent(f"{url} answers with no list of files.")
    return found


def _path(item: Mapping[str, object]) -> str:
    path = item.get("path")
    if not isinstance(path, str) or not path or "\0" in path:
        raise OtherContent("The registry lists a file without a path.")
    if len(path) > MAX_PATH:
        raise OtherContent(f"The registry lists a file whose path has more than {MAX_PATH} characters.")
    return path


def _names(paths: list[str], source: TrsSource) -> list[str]:
    """Return names for paths that are relative to the main document, and may lead above it: all below one folder."""
    normal = [posixpath.normpath(path.lstrip("/")) for path in paths]
    above = max((path.split("/").count("..") for path in normal), default=0)
    folder = "/".join([_FOLDER] * above)
    names = [posixpath.normpath(posixpath.join(folder, path)) for path in normal]
    if len(set(names)) != len(names):
        raise OtherContent(f"{source.url} lists two files of one name.")
    return names


def _check(content: bytes, checksum: object, what: str) -> bool:
    """Whether a checksum was given that can be compared; it is right then."""
    items = checksum if isinstance(checksum, list) else [checksum]
    expected = given_checksums((item.get("type"), item.get("checksum")) for item in items if isinstance(item, dict))
    hashing = Hashing(expected)
    hashing.update(content)
    hashing.check(what)
    return bool(expected)
