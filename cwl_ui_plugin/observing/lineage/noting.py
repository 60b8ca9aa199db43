"""What an operator notes while it runs, and the methods that Airflow's OpenLineage provider calls for it.

The provider calls them in the task's process, or in a fork of it, before the task does anything and when it has ended.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cwl_ui_plugin.cwl.plan import Step

if TYPE_CHECKING:
    from cwl_ui_plugin.observing.lineage.events import Lineage


@dataclass
class Noted:
    """What a task has read and made (any JSON with File and Directory objects in it), and how it went."""

    inputs: object = None
    outputs: object = None
    statistics: Mapping[str, Any] | None = None
    """What the step used: ``{"command", "exit_code", "seconds", "cpu_seconds", "peak_memory_bytes", "reused"}``."""
    failure: Mapping[str, Any] | None = None
    """Of a task that failed: ``{"kind", "exit_code", "command"}``."""


@dataclass(frozen=True)
class Subject:
    """Which task it is about: of which Dag, of the document at these folders, and which step of it."""

    dag_id: str
    compiled: Path
    source: Path
    step: Step | None
    is_first: bool


class TellsLineage:
    """The part of an operator that OpenLineage is told about."""

    _noted: Noted | None = None

    @property
    def noted(self) -> Noted:
        """What this task has noted of itself."""
        if self._noted is None:
            self._noted = Noted()
        return self._noted

    def lineage_subject(self) -> Subject:
        """Return which task this is."""
        raise NotImplementedError

    def get_openlineage_facets_on_start(self) -> Lineage:
        """Tell what the job is; its files are not known yet."""
        from cwl_ui_plugin.observing.lineage import events

        return events.at_start(self.lineage_subject())

    def get_openlineage_facets_on_complete(self, task_instance: object) -> Lineage:
        """Tell what was read and made."""
        from cwl_ui_plugin.observing.lineage import events

        return events.at_end(self.lineage_subject(), self.noted)

    def get_openlineage_facets_on_failure(self, task_instance: object) -> Lineage:
        """Tell what was read, and how the task failed."""
        return self.get_openlineage_facets_on_complete(task_instance)
