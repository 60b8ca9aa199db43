"""The kinds of schedules: what their settings are, checked; and a kind and its settings in words.

What Airflow makes of them is in ``dags.scheduling.KINDS``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from cwl_ui_plugin.cwl.jobs.file_sets import MAX_SETTLE_SECONDS, SETTLE_SECONDS
from cwl_ui_plugin.dags.assets import is_input_asset, output_named
from cwl_ui_plugin.dags.scheduling import ONCE
from cwl_ui_plugin.services.errors import BadRequest

Settings = Mapping[str, Any]
PRESETS = {
    "@hourly": "every hour",
    "@daily": "every day at midnight",
    "@weekly": "every week, on Sunday at midnight",
    "@monthly": "on the first day of each month at midnight",
    ONCE: "once, as soon as possible",
}
CRON_FIELDS = 5
MAX_CRON = 200
_RANDOM = re.compile(r"(?<![A-Z])[RH](?![A-Z])", re.IGNORECASE)
"""croniter chooses another time whenever it reads the expression, so that a run could be due again and again."""
MAX_ASSETS = 100
MAX_TEXT = 4000


@dataclass(frozen=True)
class Kind:
    """A kind of schedule: ``check`` returns its settings as they are kept or raises, ``text`` says them shortly."""

    check: Callable[[Settings], dict[str, object]]
    text: Callable[[Settings], str]


def checked_settings(kind: object, settings: object) -> dict[str, object]:
    """Return the settings of a schedule as they are kept; raise :class:`BadRequest` naming the field."""
    if not isinstance(kind, str) or kind not in KINDS:
        raise BadRequest(f"{kind!r} is no kind of schedule; use one of {', '.join(KINDS)}.", field="kind")
    if not isinstance(settings, Mapping):
        raise BadRequest('The settings must be an object, for instance {"cron": "0 6 * * *"}.', field=kind)
    return KINDS[kind].check(settings)


def short_text(kind: str, settings: Settings) -> str:
    """Return when a schedule starts, in a few words."""
    return KINDS[kind].text(settings) if kind in KINDS else kind


def _only(settings: Settings, *names: str) -> None:
    if more := sorted(set(settings) - set(names)):
        raise BadRequest(f"These settings are not known: {', '.join(more)}. There are {', '.join(names)}.")


def _check_cron(settings: Settings) -> dict[str, object]:
    _only(settings, "cron")
    text = settings.get("cron")
    if not isinstance(text, str) or len(text) > MAX_CRON or len(text.split()) != CRON_FIELDS:
        raise BadRequest(
            "A cron expression has five fields: minute, hour, day of the month, month and day of the week, for "
            "instance 0 6 * * 1-5.",
            field="cron",
        )
    if _RANDOM.search(text):
        raise BadRequest("R and H, which stand for a time by chance, can't be used in a cron expression.", field="cron")
    return {"cron": " ".join(text.split())}


def _check_preset(settings: Settings) -> dict[str, object]:
    _only(settings, "preset")
    if settings.get("preset") not in PRESETS:
        raise BadRequest(f"Choose one of {', '.join(PRESETS)}.", field="preset")
    return {"preset": settings["preset"]}


def _check_assets(settings: Settings) -> dict[str, object]:
    """Take assets by name or URI, or as ``{"name", "uri"}``; they must be known to Airflow.

    ``inputs`` says which of them, each an output of a workflow, are given to which input; they are assets to wait for.
    """
    _only(settings, "assets", "all", "inputs")
    inputs = _given_texts(settings, "inputs")
    named = settings.get("assets", [])
    if isinstance(named, list):
        named = [*named, *(asset for asset in dict.fromkeys(inputs.values()) if asset not in map(_asset_name, named))]
    if (
        not isinstance(named, list)
        or not 0 < len(named) <= MAX_ASSETS
        or not isinstance(settings.get("all", False), bool)
    ):
        raise BadRequest(f"Choose from 1 to {MAX_ASSETS} assets, and whether all of them or any.", field="assets")
    known = known_assets()
    chosen = []
    for item in named:
        name = _asset_name(item)
        found = [asset for asset in known if name in (asset["name"], asset["uri"])]
        if not found:
            raise BadRequest(f"Airflow has no asset {str(name)[:200]!r}.", field="assets")
        chosen.append(found[0])
    _check_unwatched([asset["name"] for asset in chosen])
    checked = {"assets": sorted(chosen, key=lambda asset: asset["name"]), "all": settings.get("all", False)}
    return {**checked, "inputs": inputs} if inputs else checked


def _check_unwatched(names: list[str]) -> None:
    """Refuse assets with watchers: Airflow takes these away when it reads a Dag that has the asset without them."""
    from airflow.models.asset import AssetModel, AssetWatcherModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    query = select(AssetModel.name).join(AssetWatcherModel, AssetWatcherModel.asset_id == AssetModel.id)
    with create_session(scoped=False) as session:
        watched = sorted(set(session.scalars(query.where(AssetModel.name.in_(names)))))
    if watched:
        raise BadRequest(
            f"The asset {watched[0]!r} has watchers, which Airflow would take away if a Dag without them waited for "
            "it. Wait for an asset that a Dag makes of its events: see docs/assets.md.",
            field="assets",
        )


def _asset_name(item: object) -> object:
    return item.get("name") if isinstance(item, Mapping) else item


def _check_folder(settings: Settings) -> dict[str, object]:
    """Take ``{"folder", "files": {input: pattern}, "names": {input: group}, "marker", "settle"}``."""
    _only(settings, "folder", "files", "names", "marker", "settle")
    folder, marker = settings.get("folder"), settings.get("marker") or None
    if not isinstance(folder, str) or not folder.startswith("/") or len(folder) > MAX_TEXT or "\0" in folder:
        raise BadRequest("Give the folder as an absolute path, such as /data/incoming.", field="folder")
    if marker is not None and not isinstance(marker, str):
        raise BadRequest("The marker file is a text.", field="marker")
    settle = settings.get("settle") or SETTLE_SECONDS
    if isinstance(settle, bool) or not isinstance(settle, (int, float)) or not 1 <= settle <= MAX_SETTLE_SECONDS:
        raise BadRequest(f"The settle time is a number of seconds from 1 to {MAX_SETTLE_SECONDS}.", field="settle")
    files, names = _given_texts(settings, "files"), _given_texts(settings, "names")
    if not files:
        raise BadRequest("Give a pattern of files for at least one input.", field="folder")
    return {"folder": folder, "files": files, "names": names, "marker": marker, "settle": settle}


def _given_texts(settings: Settings, name: str) -> dict[str, str]:
    """Return the texts of a setting by input, without those that are empty."""
    given = settings.get(name) or {}
    if not isinstance(given, Mapping) or not all(
        isinstance(text, str) and len(text) <= MAX_TEXT for text in given.values()
    ):
        raise BadRequest(f"{name} must be an object: a text for each input.", field=name)
    return {str(key): text.strip() for key, text in given.items() if text.strip()}


def known_assets() -> list[dict[str, str]]:
    """Return the assets that Airflow has, by name: ``{"name", "uri"}``."""
    from airflow.models.asset import AssetModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    query = select(AssetModel.name, AssetModel.uri).where(AssetModel.active.has()).order_by(AssetModel.name)
    with create_session(scoped=False) as session:
        return [{"name": name, "uri": uri} for name, uri in session.execute(query)]


def assets_to_wait_for(dag_id: str) -> list[str]:
    """Return the names of the assets that a workflow can sensibly wait for.

    Not its own outputs, which would start it for ever; nor inputs of workflows, whose uploads make no events.
    """
    names = [asset["name"] for asset in known_assets()]
    return [name for name in names if not is_input_asset(name) and (output_named(name) or ("",))[0] != dag_id]


def _folder_text(settings: Settings) -> str:
    return f"files in {PurePath(settings['folder']).name}"


def _assets_text(settings: Settings) -> str:
    joint = " and " if settings.get("all") else " or "
    return f"after {joint.join(asset['name'] for asset in settings['assets'])}"


KINDS: dict[str, Kind] = {
    "cron": Kind(_check_cron, lambda settings: str(settings["cron"])),
    "preset": Kind(_check_preset, lambda settings: str(settings["preset"])),
    "assets": Kind(_check_assets, _assets_text),
    "folder": Kind(_check_folder, _folder_text),
}
