"""A preset, as pages and the API show it."""

from __future__ import annotations

from dataclasses import dataclass

from cwl_ui_plugin.cwl.errors import Problem


@dataclass(frozen=True, kw_only=True)
class PresetSummary:
    """A preset without its inputs. ``version`` is the digest of the version of the workflow that it was saved for.

    ``revision`` counts its changes: who sends it along with a change overwrites nothing that they have not seen.
    """

    id: str
    dag_id: str
    name: str
    is_shared: bool
    owner: str
    version: str
    revision: int
    created_at: str | None
    updated_at: str | None
    updated_by: str


@dataclass(frozen=True, kw_only=True)
class Preset(PresetSummary):
    """A preset with its inputs: a part of a job, which nobody has checked."""

    job: dict[str, object]


@dataclass(frozen=True, kw_only=True)
class FittedPreset(Preset):
    """A preset whose ``job`` fits the version ``fitted_to`` of its workflow; ``left_out`` says what does not."""

    fitted_to: str
    left_out: tuple[Problem, ...]


@dataclass(frozen=True)
class SavedPreset:
    """A preset that was just saved, and the inputs that presets do not keep."""

    preset: Preset
    not_kept: tuple[Problem, ...]
