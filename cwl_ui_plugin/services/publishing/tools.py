"""Workflows as TRS tools, versions, and files: https://ga4gh.github.io/tool-registry-service-schemas/ (2.0.1).

The id of a tool is that of its Dag, the id of a version its digest; ``latest`` and ``v3`` are understood, too. Paths of
files are those of the upload, so that documents refer to each other below ``.../descriptor/`` as they do in it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from typing_extensions import NotRequired, TypedDict

from cwl_ui_plugin import addresses, config
from cwl_ui_plugin.cwl.plan import Plan, Step
from cwl_ui_plugin.library import catalog
from cwl_ui_plugin.library.catalog import Entry
from cwl_ui_plugin.library.errors import NotCompiled, UnknownWorkflow
from cwl_ui_plugin.library.store import VERSION_FILE, WorkflowStore
from cwl_ui_plugin.library.versions import StoredVersion
from cwl_ui_plugin.services.errors import NotFound
from cwl_ui_plugin.services.stored_workflows import library_errors, open_store
from cwl_ui_plugin.services.workflows.details import source_names, source_place

CWL = "CWL"
LATEST = "latest"
PRIMARY, SECONDARY, OTHER = "PRIMARY_DESCRIPTOR", "SECONDARY_DESCRIPTOR", "OTHER"
_DOCUMENTS = (".cwl", ".json", ".yaml", ".yml")
_HEAD = 256 * 1024
_REMEMBERED = 8192
"""Versions whose facts are remembered; a list may have a thousand tools, with all of their versions."""
_LISTED = 64
"""Versions whose files are remembered, each with its checksum."""
_CLASSES = {
    "Workflow": "A workflow of several steps",
    "CommandLineTool": "A command line tool",
    "ExpressionTool": "An expression",
}


class ToolClass(TypedDict):
    """What a tool is."""

    id: str
    name: str
    description: str


class Checksum(TypedDict):
    """A checksum, and its algorithm."""

    checksum: str
    type: str


class ImageData(TypedDict):
    """An image that a tool runs in."""

    registry_host: str
    image_name: str
    image_type: str
    size: int
    updated: str
    checksum: list[Checksum]


class ToolVersion(TypedDict):
    """A version of a tool."""

    id: str
    url: str
    name: str
    author: list[str]
    is_production: bool
    images: list[ImageData]
    descriptor_type: list[str]
    descriptor_type_version: dict[str, list[str]]
    containerfile: bool
    meta_version: str
    verified: bool
    verified_source: list[str]
    signed: bool
    included_apps: list[str]


class Tool(TypedDict):
    """A tool with its versions, the current one first."""

    id: str
    url: str
    aliases: list[str]
    organization: str
    name: str
    toolclass: ToolClass
    description: str
    meta_version: str
    has_checker: bool
    checker_url: str
    versions: list[ToolVersion]


class ToolFile(TypedDict):
    """A file of a version; its path is one for ``.../descriptor/{path}``."""

    path: str
    file_type: str
    checksum: Checksum


class FileWrapper(TypedDict):
    """The content of a file."""

    content: str
    checksum: list[Checksum]
    url: NotRequired[str]


@dataclass(frozen=True)
class ToolFilter:
    """What tools are wanted; None does not matter. Texts are searched for, small letters and capitals alike."""

    id: str | None = None
    alias: str | None = None
    toolclass: str | None = None
    descriptor_type: str | None = None
    registry: str | None = None
    organization: str | None = None
    name: str | None = None
    toolname: str | None = None
    description: str | None = None
    author: str | None = None
    checker: bool | None = None


def tool_classes() -> list[ToolClass]:
    """Return what tools may be."""
    return [_tool_class(kind) for kind in _CLASSES]


def find_tools(wanted: ToolFilter, dag_ids: Iterable[str]) -> list[str]:
    """Return the ids of the tools among ``dag_ids`` that are wanted, sorted."""
    allowed = set(dag_ids)
    found = catalog.entries(open_store()).values()
    return sorted(entry.dag_id for entry in found if entry.dag_id in allowed and _is_wanted(entry, wanted))


def get_tool(dag_id: str) -> Tool:
    """Return a tool; raise :class:`NotFound`."""
    store = open_store()
    current = store.manifest_of(dag_id)
    versions = list(_versions(store, dag_id))
    numbers = store.version_numbers(dag_id)
    shown = next((version for version in versions if version.digest == current), None)
    if shown is None:
        raise NotFound(f"There is no CWL workflow {dag_id!r}.")
    versions.sort(key=lambda version: (version.digest == current, version.uploaded_at, version.digest), reverse=True)
    facts = _facts(shown)
    return Tool(
        id=dag_id,
        url=tool_url(dag_id),
        aliases=[],
        organization=organization(),
        name=(facts.label if facts else None) or dag_id,
        toolclass=_tool_class(facts.kind if facts else "Workflow"),
        description=(facts.doc if facts else None) or "",
        meta_version=shown.uploaded_at,
        has_checker=False,
        checker_url="",
        versions=[_version(version, current, numbers) for version in versions],
    )


def get_tools(dag_ids: Iterable[str]) -> Iterator[Tool]:
    """Yield tools, but for those that were deleted meanwhile."""
    for dag_id in dag_ids:
        with suppress(NotFound):
            yield get_tool(dag_id)


def get_version(dag_id: str, version_id: str) -> ToolVersion:
    """Return a version of a tool; raise :class:`NotFound`."""
    store = open_store()
    return _version(version_of(dag_id, version_id), store.manifest_of(dag_id), store.version_numbers(dag_id))


def version_of(dag_id: str, version_id: str) -> StoredVersion:
    """Return a version by its id, by its number (``v3``), or the current one (``latest``); raise :class:`NotFound`."""
    store = open_store()
    with library_errors():
        current = store.current(dag_id)
        if version_id == LATEST:
            return current
        numbers = {f"v{number}": digest for digest, number in store.version_numbers(dag_id).items()}
        return store.version(dag_id, numbers.get(version_id, version_id))


def files(version: StoredVersion) -> list[ToolFile]:
    """Return the files of a version, the main document first."""
    return list(_files(version, _stamp(version.folder)))


@lru_cache(maxsize=_LISTED)
def _files(version: StoredVersion, _stamp: str) -> tuple[ToolFile, ...]:
    main = version.main.partition("#")[0]
    names = sorted(source_names(version), key=lambda name: (name != main, name))
    return tuple(
        ToolFile(path=name, file_type=_file_type(name, main, content), checksum=_checksum(content))
        for name, content in ((name, read_file(version, name)) for name in names)
    )


def main_document(version: StoredVersion) -> str:
    """Return the name of the main document."""
    return version.main.partition("#")[0]


def wrapped(version: StoredVersion, path: str) -> FileWrapper:
    """Return a file of a version with its checksum; raise :class:`NotFound`."""
    content = read_file(version, path)
    url = f"{version_url(version)}/PLAIN_CWL/descriptor/{addresses.part(path)}"
    return FileWrapper(content=content.decode("utf-8", "replace"), checksum=[_checksum(content)], url=url)


def read_file(version: StoredVersion, path: str) -> bytes:
    """Return the content of a file of a version; raise :class:`NotFound`."""
    try:
        with source_place(version).open(path) as file:
            return file.read(int(config.number("max_unpacked_size")))
    except (OSError, ValueError):
        raise NotFound(f"The version {version.digest} of {version.dag_id!r} has no file {path!r}.") from None


def organization() -> str:
    """Return who publishes: the name that this server is known by."""
    return urlsplit(config.base_url()).hostname or "localhost"


def tool_url(dag_id: str) -> str:
    """Return the address of a tool."""
    return f"{config.base_url()}{addresses.TRS}/tools/{addresses.part(dag_id)}"


def version_url(version: StoredVersion) -> str:
    """Return the address of a version."""
    return f"{tool_url(version.dag_id)}/versions/{version.digest}"


def _version(version: StoredVersion, current: str | None, numbers: Mapping[str, int]) -> ToolVersion:
    facts = _facts(version)
    return ToolVersion(
        id=version.digest,
        url=version_url(version),
        name=f"v{numbers.get(version.digest, 1)}",
        author=[version.uploaded_by],
        is_production=version.digest == current,
        images=list(facts.images) if facts else [],
        descriptor_type=[CWL],
        descriptor_type_version={CWL: [facts.cwl_version]} if facts else {},
        containerfile=False,
        meta_version=version.uploaded_at,
        verified=False,
        verified_source=[],
        signed=False,
        included_apps=[],
    )


class _Facts(NamedTuple):
    """What a registry tells of the plan of a version."""

    kind: str
    cwl_version: str
    label: str | None
    doc: str | None
    images: tuple[ImageData, ...]


def _facts(version: StoredVersion) -> _Facts | None:
    """Return what is known of a version; None for one that has to be compiled again first."""
    try:
        return _read_facts(version.folder, _stamp(version.folder))
    except (NotCompiled, OSError, ValueError, KeyError, TypeError):
        return None


@lru_cache(maxsize=_REMEMBERED)
def _read_facts(folder: Path, _stamp: str) -> _Facts:
    """Read the plan of a version. What fails is not remembered: it may be compiled again meanwhile."""
    dag_id, digest = folder.parent.parent.name, folder.name
    plan: Plan = open_store().version(dag_id, digest).plan
    return _Facts(plan.kind, plan.cwl_version, plan.label, plan.doc, tuple(_images(plan.steps)))


def _versions(store: WorkflowStore, dag_id: str) -> Iterator[StoredVersion]:
    """Yield the versions of a workflow, without reading again what was read before."""
    for digest in store.digests(dag_id):
        folder = store.workflows / dag_id / "versions" / digest
        with suppress(UnknownWorkflow, OSError):  # removed meanwhile
            yield _read_version(folder, _stamp(folder))


@lru_cache(maxsize=_REMEMBERED)
def _read_version(folder: Path, _stamp: str) -> StoredVersion:
    return open_store().version(folder.parent.parent.name, folder.name)


def _stamp(folder: Path) -> str:
    """Return what tells a version from one with the same content that was stored after it was removed.

    Raises:
        OSError: it was removed.

    """
    state = (folder / VERSION_FILE).stat()
    return f"{state.st_mtime_ns}.{state.st_ino}"


def _images(steps: Iterable[Step]) -> Iterator[ImageData]:
    seen = set[str]()
    waiting = list(steps)
    while waiting:
        step = waiting.pop(0)
        waiting += step.steps
        if step.container and step.container not in seen:
            seen.add(step.container)
            host, slash, _ = step.container.partition("/")
            is_host = bool(slash) and ("." in host or ":" in host or host == "localhost")
            yield ImageData(
                registry_host=host if is_host else "docker.io",
                image_name=step.container,
                image_type="Docker",
                size=0,
                updated="",
                checksum=[],
            )


def _is_wanted(entry: Entry, wanted: ToolFilter) -> bool:
    name = entry.label or entry.dag_id
    exact = (
        (wanted.id, entry.dag_id),
        (wanted.toolclass, entry.kind),
        (wanted.registry, organization()),
        (wanted.organization, organization()),
    )
    within = ((wanted.name, name), (wanted.toolname, name), (wanted.author, entry.uploaded_by))
    return (
        all(value is None or value == found for value, found in exact)
        and all(value is None or value.casefold() in found.casefold() for value, found in within)
        and wanted.alias is None
        and not wanted.checker
        and (wanted.descriptor_type or CWL).upper() in (CWL, "PLAIN_CWL")
        and (wanted.description is None or _describes(entry.dag_id, wanted.description))
    )


def _describes(dag_id: str, words: str) -> bool:
    with library_errors():
        facts = _facts(open_store().current(dag_id))
    return facts is not None and words.casefold() in (facts.doc or "").casefold()


def _tool_class(kind: str) -> ToolClass:
    return ToolClass(id=kind, name=kind, description=_CLASSES.get(kind, kind))


def _file_type(name: str, main: str, content: bytes) -> str:
    if name == main:
        return PRIMARY
    is_document = name.endswith(_DOCUMENTS) and b"cwlVersion" in content[:_HEAD]
    return SECONDARY if is_document or name.endswith(".cwl") else OTHER


def _checksum(content: bytes) -> Checksum:
    return Checksum(checksum=hashlib.sha256(content).hexdigest(), type="sha256")
