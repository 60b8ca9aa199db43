"""What the site's configuration says about fetching."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from cwl_ui_plugin import config, store_paths
from cwl_ui_plugin.config import ConfigError
from cwl_ui_plugin.fetching.hosts import HostRules
from cwl_ui_plugin.fetching.limits import Limits
from cwl_ui_plugin.fetching.storage_roots import (
    UPLOADS_OPTION,
    WORKFLOWS_OPTION,
    StorageAddress,
    StorageRoot,
    StorageRules,
)

DOCUMENT_BYTES = 4 * config.MEBIBYTE
"""What an answer of a registry may have."""
_SECONDS = "[cwl] fetch_timeout"


def host_rules() -> HostRules:
    """Return which hosts may be fetched from: none by default, all public ones with ``[cwl] allow_network``.

    Raises:
        ConfigError: an entry of ``[cwl] fetch_hosts`` is none.

    """
    try:
        return HostRules.of(config.fetch_hosts().split(","))
    except ValueError as error:
        raise ConfigError(f"[cwl] fetch_hosts: {error}.") from None


def storage_rules(granted: Iterable[Path] = ()) -> StorageRules:
    """Return which places of object stores may be read; none by default.

    Outputs of runs are in none of them, but for those in the ``granted`` places (see ``store_paths``); nor are uploads,
    but for those whose folders are granted, which on the disk stand for those in the store.

    Raises:
        ConfigError: an entry of ``[cwl] storage_roots`` is none, or a place that is closed is none, or in another.

    """
    closed, granted, uploads = destinations(), tuple(granted), uploads_root()
    opened = [_root_at(path, closed) for path in granted if store_paths.is_stored(path)]
    granted_roots, between_tasks = [root for root in opened if root], intermediate_root()
    if uploads is not None:
        home, closed = config.uploads_folder().resolve(), (*closed, uploads)
        sent = [folder.name for folder in granted if folder.parent == home]
        granted_roots += [replace(uploads, prefix=f"{uploads.prefix}{name}/") for name in sent]
    if (workflows := workflows_root()) is not None:
        for other in (*closed, *([between_tasks] if between_tasks else [])):
            if other.overlaps(*workflows.place, workflows.prefix.rstrip("/"), is_folder=True):
                raise ConfigError(f"{WORKFLOWS_OPTION} and {other.option} overlap: give each a prefix of its own.")
        closed = (*closed, workflows)
    try:
        return StorageRules.of(config.text("storage_roots").split(","), closed, granted_roots, between_tasks)
    except ValueError as error:
        raise ConfigError(f"[cwl] storage_roots: {error}.") from None


def uploads_root() -> StorageRoot | None:
    """Return the place of a store for what users upload in forms; None where that lies on a disk.

    Raises:
        ConfigError: ``[cwl] uploads_storage`` is no place of a store that speaks S3, or of several.

    """
    return _s3_root(config.text("uploads_storage").strip(), UPLOADS_OPTION)


def workflows_root() -> StorageRoot | None:
    """Return the place of a store by which machines share workflows; None where they see the same folder.

    Raises:
        ConfigError: ``[cwl] workflows_storage`` is no place of a store that speaks S3, or of several.

    """
    return _s3_root(config.workflows_storage(), WORKFLOWS_OPTION)


def _s3_root(entry: str, option: str) -> StorageRoot | None:
    try:
        root = StorageRoot.parse(entry, option) if entry else None
    except ValueError as error:
        raise ConfigError(f"{option}: {error}.") from None
    if root is not None and (root.scheme != "s3" or "," in entry):
        raise ConfigError(f"{option}: it is one place of a store that speaks S3, s3://connection@bucket/prefix.")
    return root


def intermediate_root() -> StorageRoot | None:
    """Return the place by which workers without common folders hand on files; None where they share folders.

    Raises:
        ConfigError: ``[cwl] intermediate_storage`` is no place of a store, or of several.

    """
    entry = config.intermediate_storage()
    if "," in entry:
        raise ConfigError("[cwl] intermediate_storage: it is one place of a store, without commas.")
    try:
        return StorageRoot.parse(entry, "[cwl] intermediate_storage") if entry else None
    except ValueError as error:
        raise ConfigError(f"[cwl] intermediate_storage: {error}.") from None


def destinations() -> tuple[StorageRoot, ...]:
    """Return the places of object stores that outputs are delivered to.

    Raises:
        ConfigError: one of them is none.

    """
    found = []
    for option, places in config.stored_destinations().items():
        for place in places:
            try:
                root = StorageRoot.parse(place, f"[cwl] {option}")
            except ValueError as error:
                raise ConfigError(f"[cwl] {option}: {error}.") from None
            if "//" in root.prefix or "\\" in root.prefix:
                raise ConfigError(f"[cwl] {option}: {root.url} has an empty part, or a backslash, in its prefix.")
            found.append(root)
    return tuple(found)


def destination_of(path: Path) -> StorageAddress | None:
    """Return what a path of ``store_paths`` is in a store that outputs go to; None for any other path.

    Raises:
        ConfigError: a place for outputs is none.

    """
    root = _root_at(path, destinations()) if store_paths.is_stored(path) else None
    return StorageAddress(root, "/".join(path.relative_to(store_paths.STORES).parts[2:])) if root else None


def _root_at(path: Path, roots: Iterable[StorageRoot]) -> StorageRoot | None:
    """Return the place of a path, and of what is below it, with the Connection of the innermost root that has it."""
    inside = [root for root in roots if (top := store_paths.path_of(root.url)) and path.is_relative_to(top)]
    if not inside:
        return None
    root = max(inside, key=lambda found: len(found.prefix))
    return replace(root, prefix="".join(f"{part}/" for part in path.relative_to(store_paths.STORES).parts[2:]))


def storage_seconds() -> float:
    """Return how long a store may be silent while something is written to it, or read for a user who waits."""
    return config.number("storage_timeout")


def document_limits() -> Limits:
    """Return the bounds of an answer of a registry."""
    return Limits(DOCUMENT_BYTES, "the most that an answer may have", config.number("fetch_timeout"), _SECONDS)


def upload_limits() -> Limits:
    """Return the bounds of a workflow that is fetched."""
    return Limits(
        int(config.number("max_upload_size")), "[cwl] max_upload_size", config.number("fetch_timeout"), _SECONDS
    )


def input_limits() -> Limits:
    """Return the bounds of a file that is fetched as an input."""
    seconds = config.number("fetch_input_timeout")
    return Limits(int(config.number("max_input_size")), "[cwl] max_input_size", seconds, "[cwl] fetch_input_timeout")
