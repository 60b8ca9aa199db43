"""What users write to name a workflow elsewhere, and which kind of source that is.

* ``trs://host/id/version``, ``https://host/.../tools/<id>/versions/<version>`` as GA4GH TRS 2.0 has them
  (https://ga4gh.github.io/tool-registry-service-schemas/), ``#workflow/github.com/org/repo/name:version`` and pages of
  Dockstore, pages of WorkflowHub;
* ``https://host/repo.git``, with a ref and a path;
* ``https://host/workflow.zip``, with a path; ``https://host/workflow.cwl``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qs, quote, unquote, urlsplit

from cwl_ui_plugin.fetching.hosts import address_of, plain_name
from cwl_ui_plugin.services.errors import BadRequest

MAX_ADDRESS = 2000
_TRS_BELOW = "/ga4gh/trs/v2"
_DOCKSTORE = "dockstore.org"
_WORKFLOWHUB = ("workflowhub.eu", "dev.workflowhub.eu")
_BASES = {_DOCKSTORE: f"https://{_DOCKSTORE}/api{_TRS_BELOW}"}
"""Where registries have their TRS API that don't have it where the standard says."""
_TOOL = re.compile(
    r"(?P<base>https?://[^?#]+?)/tools/(?P<id>[^/?#]+)"
    r"(?:/versions/(?P<version>[^/?#]+)(?:/(?:PLAIN[_-])?CWL/(?:descriptor|files)(?:/[^?#]*)?)?)?/?",
    re.IGNORECASE,
)
_FILES = (".cwl", ".json", ".yaml", ".yml", ".zip", ".git")
"""How files and repositories are called that lie in a folder "tools"."""
_DOCKSTORE_ID = re.compile(r"(?P<id>#(?:workflow|service|notebook)/[^:\s]+)(?::(?P<version>\S+))?")
_DOCKSTORE_PAGE = re.compile(r"/(?:my-)?workflows/(?P<id>[^:]+)(?::(?P<version>.+))?")
_HUB_PAGE = re.compile(r"/workflows/(?P<id>\d+)(?:-[^/]*)?/?")
_SCP = re.compile(r"[\w.-]+@[\w.-]+:")
EXAMPLES = (
    "https://workflowhub.eu/workflows/138?version=2, trs://host/id/version, https://example.org/repo.git, or "
    "https://example.org/workflow.zip"
)


@dataclass(frozen=True)
class TrsSource:
    """A tool of a registry: ``base`` is what ``/tools`` stands below; without a version, the only one is meant."""

    base: str
    id: str
    version: str | None

    @property
    def url(self) -> str:
        """The address of the tool."""
        return f"{self.base}/tools/{quote(self.id, safe='')}"


@dataclass(frozen=True)
class GitSource:
    """A git repository; without a ref its default branch."""

    url: str
    ref: str | None
    path: str | None


@dataclass(frozen=True)
class WebSource:
    """A zip or a document."""

    url: str
    path: str | None


Source = TrsSource | GitSource | WebSource


def source_of(address: str, *, ref: str | None = None, path: str | None = None) -> Source:
    """Return what an address names; ``ref`` is a version, tag, branch or commit, ``path`` the main document.

    Raises:
        BadRequest: it can't be understood, with examples of what can.

    """
    address = address.strip()
    if len(address) > MAX_ADDRESS or any(not character.isprintable() for character in address):
        raise BadRequest(f"The address is longer than {MAX_ADDRESS} characters, or has some that can't be printed.")
    try:
        found = _trs(address, ref) or _other(address, ref, path)
    except ValueError as error:
        raise BadRequest(f"{address!r} is no address: {error}.") from None
    if found is None:
        raise BadRequest(f"{address!r} names no workflow that can be fetched. Write, for instance, {EXAMPLES}.")
    return found


def scheme_of(host: str) -> str:
    """Return by what a host is asked where its address has a scheme of its own: https, but for this machine."""
    name = plain_name(urlsplit(f"//{host}").hostname or "")
    address = address_of(name)
    return "http" if name == "localhost" or (address is not None and address.is_loopback) else "https"


def _trs(address: str, ref: str | None) -> TrsSource | None:
    if match := _DOCKSTORE_ID.fullmatch(address):
        return _tool(_BASES[_DOCKSTORE], match, ref)
    if address.lower().startswith("trs://"):
        return _trs_uri(address[len("trs://") :], ref)
    match = _TOOL.fullmatch(address.partition("?")[0])
    if match and (match["version"] or not match["id"].lower().endswith(_FILES)):
        return _tool(match["base"], match, ref)
    parts = urlsplit(address)
    if parts.hostname == _DOCKSTORE and (match := _DOCKSTORE_PAGE.fullmatch(unquote(parts.path))):
        return TrsSource(_BASES[_DOCKSTORE], f"#workflow/{match['id']}", ref or match["version"])
    if parts.hostname in _WORKFLOWHUB and (match := _HUB_PAGE.fullmatch(parts.path)):
        version = parse_qs(parts.query).get("version", [None])[0]
        return TrsSource(f"https://{parts.netloc}{_TRS_BELOW}", match["id"], ref or version)
    return None


def _trs_uri(rest: str, ref: str | None) -> TrsSource:
    """Read ``host/id[/version]``; an id of Dockstore may stand there as it is."""
    host, _, name = rest.partition("/")
    if not host or not name or "@" in host:
        raise ValueError("write trs://host/id/version")
    base = _BASES.get(host.lower(), f"{scheme_of(host)}://{host}{_TRS_BELOW}")
    if match := _DOCKSTORE_ID.fullmatch(name):
        return _tool(base, match, ref)
    parts = name.rstrip("/").split("/")
    if len(parts) > 2:
        raise ValueError("slashes in an id are written %2F, as in trs://host/a%2Fb/version")
    version = unquote(parts[1]) if len(parts) == 2 else None
    return TrsSource(base, unquote(parts[0]), ref or version)


def _tool(base: str, match: re.Match[str], ref: str | None) -> TrsSource:
    version = match["version"]
    return TrsSource(base, unquote(match["id"]), ref or (unquote(version) if version else None))


def _other(address: str, ref: str | None, path: str | None) -> Source | None:
    is_git = address.startswith("git+")
    parts = urlsplit(address.removeprefix("git+"))
    if parts.scheme in ("git", "ssh", "ext", "file") or _SCP.match(address):
        raise BadRequest("Repositories are fetched by https only: write https://host/repository.git.")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return None
    if is_git or ref or parts.path.rstrip("/").endswith(".git"):
        return GitSource(parts.geturl(), ref or None, path or None)
    return WebSource(parts.geturl(), path or parts.fragment or None)
