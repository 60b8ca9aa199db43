"""Files of a job and the attachments that they mean; files of outputs and their addresses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from urllib.parse import quote, urlsplit

from cwl_ui_plugin import config
from cwl_ui_plugin.cwl.value_files import LongList
from cwl_ui_plugin.services.inputs.single import is_uuid
from cwl_ui_plugin.services.wes.attachments import Attachments

FileObject = dict[str, object]


def with_attachments(params: Mapping[str, object], attachments: Attachments) -> tuple[dict[str, object], bool]:
    """Return a job whose Files and Directories lead to the attachments that they name, and whether any does.

    A location that is no attachment stays as it is: it may be in the server's folder for inputs.
    """
    used = False

    def located(file: FileObject) -> FileObject:
        nonlocal used
        for name in ("location", "path"):
            place = _relative(file.get(name))
            if place and (found := attachments.find(place)) is not None:
                used = True
                others = {key: value for key, value in file.items() if key not in ("location", "path")}
                return {**others, "location": found.as_uri()}
        return file

    return _mapped(params, located), used


def without_folder(job: Mapping[str, object], attachments: str) -> dict[str, object]:
    """Return a job as its client has sent it: what lies in a folder of attachments has its name in there."""
    if not is_uuid(attachments):
        return dict(job)
    folder = f"{(config.uploads_folder() / attachments).as_uri()}/"

    def named(file: FileObject) -> FileObject:
        location = file.get("location")
        is_sent = isinstance(location, str) and location.startswith(folder)
        return {**file, "location": location[len(folder) :]} if is_sent and isinstance(location, str) else file

    return _mapped(job, named)


def with_addresses(
    outputs: Mapping[str, object], named: Callable[[object], str | None], base: str
) -> dict[str, object]:
    """Return outputs whose files have addresses below ``base``; ``named`` tells what a location is called there."""

    def addressed(file: FileObject) -> FileObject:
        name = named(file.get("location") or file.get("path"))
        if name is None:
            return file
        return {**{key: value for key, value in file.items() if key != "path"}, "location": f"{base}/{quote(name)}"}

    return _mapped(outputs, addressed)


def _mapped(values: Mapping[str, object], change: Callable[[FileObject], FileObject]) -> dict[str, object]:
    """Return an object in which each File and Directory is changed, those within others too."""
    return {key: _changed(value, change) for key, value in values.items()}


def _changed(value: object, change: Callable[[FileObject], FileObject]) -> object:
    if isinstance(value, list):
        return [_changed(item, change) for item in value]
    if isinstance(value, LongList):
        return value.mapped(partial(_changed, change=change))
    if not isinstance(value, dict):
        return value
    inner = _mapped(value, change)
    return change(inner) if inner.get("class") in ("File", "Directory") else inner


def _relative(location: object) -> str | None:
    """Return a location that is relative to the attachments; None for any other."""
    if not isinstance(location, str) or not location or location.startswith("/"):
        return None
    try:
        return None if urlsplit(location).scheme else location
    except ValueError:
        return None
