"""Presets on a page with a form of the inputs: which there are, and which one the form was filled in with."""

from __future__ import annotations

from dataclasses import dataclass

from flask import g, request

from cwl_ui_plugin.auth import permissions
from cwl_ui_plugin.auth.bridge import current_user
from cwl_ui_plugin.cwl.errors import Problem
from cwl_ui_plugin.library.versions import StoredVersion
from cwl_ui_plugin.services.errors import NotFound
from cwl_ui_plugin.services.presets import presets
from cwl_ui_plugin.services.presets.models import FittedPreset, PresetSummary
from cwl_ui_plugin.views.base import user_name

FIELD = "preset"
"""What the id of the preset is called in the query of a page."""


@dataclass(frozen=True)
class PresetChoice:
    """What the control shows: the presets, and the one that the form was filled in with."""

    dag_id: str
    version: str
    mine: tuple[PresetSummary, ...]
    shared: tuple[PresetSummary, ...]
    chosen: PresetSummary | None = None
    may_change: bool = False
    left_out: tuple[Problem, ...] = ()
    not_kept: tuple[Problem, ...] = ()
    said: str = ""

    @property
    def is_of_other_version(self) -> bool:
        """Whether the preset was saved for another version of the workflow than the form is of."""
        return self.chosen is not None and self.chosen.version != self.version


def chosen_preset(version: StoredVersion) -> FittedPreset | None:
    """Return the preset that the address of the page names; raise :class:`NotFound` where there is none of that id."""
    preset_id = request.args.get(FIELD)
    if not preset_id:
        return None
    if FIELD not in g:
        found = presets.get_preset(version.dag_id, preset_id, user_name())
        setattr(g, FIELD, presets.fitted(found, version.digest))
    chosen: FittedPreset = g.get(FIELD)
    return chosen


def preset_choice(version: StoredVersion) -> PresetChoice:
    """Return what the control of a page shows."""
    try:
        chosen = chosen_preset(version)
    except NotFound:
        chosen = None
    return choice_of(version, chosen, left_out=chosen.left_out if chosen and request.method == "GET" else ())


def choice_of(
    version: StoredVersion,
    chosen: PresetSummary | None,
    *,
    left_out: tuple[Problem, ...] = (),
    not_kept: tuple[Problem, ...] = (),
    said: str = "",
) -> PresetChoice:
    """Return what the control shows once ``chosen`` is what the form was filled in with, or saved as."""
    found, user = presets.list_presets(version.dag_id, user_name()), current_user()
    may_change_all = permissions.may_change_presets(user, version.dag_id)
    return PresetChoice(
        dag_id=version.dag_id,
        version=version.digest,
        mine=tuple(item for item in found if item.owner == user_name()),
        shared=tuple(item for item in found if item.owner != user_name()),
        chosen=chosen,
        may_change=chosen is not None and (chosen.owner == user_name() or may_change_all),
        left_out=left_out,
        not_kept=not_kept,
        said=said,
    )
