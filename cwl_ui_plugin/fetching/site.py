"""What the site's configuration says about fetching."""

from __future__ import annotations

from cwl_ui_plugin import config
from cwl_ui_plugin.config import ConfigError
from cwl_ui_plugin.fetching.hosts import HostRules
from cwl_ui_plugin.fetching.limits import Limits
from cwl_ui_plugin.fetching.storage_roots import StorageRoot, StorageRules

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


def storage_rules() -> StorageRules:
    """Return which places of object stores may be read; none by default.

    Raises:
        ConfigError: an entry of ``[cwl] storage_roots`` is none.

    """
    try:
        return StorageRules.of(config.text("storage_roots").split(","))
    except ValueError as error:
        raise ConfigError(f"[cwl] storage_roots: {error}.") from None


def intermediate_root() -> StorageRoot | None:
    """Return the place by which workers without common folders hand on files; None where they share folders.

    Raises:
        ConfigError: ``[cwl] intermediate_storage`` is no place of a store, or of several.

    """
    entry = config.intermediate_storage()
    if "," in entry:
        raise ConfigError("[cwl] intermediate_storage: it is one place of a store, without commas.")
    try:
        return StorageRoot.parse(entry) if entry else None
    except ValueError as error:
        raise ConfigError(f"[cwl] intermediate_storage: {error}.") from None


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
