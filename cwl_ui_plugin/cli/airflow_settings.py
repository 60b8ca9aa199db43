"""Airflow's settings that the plugin needs or recommends, each with its reason and its cost."""

from __future__ import annotations

import json
from dataclasses import dataclass

from cwl_ui_plugin.cli.effective import variable_of
from cwl_ui_plugin.cli.errors import UsageError

BUNDLES = ("dag_processor", "dag_bundle_config_list")
BUNDLE = {"name": "cwl", "classpath": "cwl_ui_plugin.dags.bundle.CwlDagBundle", "kwargs": {}}
DAGS_FOLDER = {
    "name": "dags-folder",
    "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
    "kwargs": {},
}


@dataclass(frozen=True)
class Setting:
    """One option; ``required`` ones the plugin does not work without."""

    section: str
    name: str
    value: str
    reason: str
    cost: str = "none"
    required: bool = False

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return variable_of(self.section, self.name)

    @property
    def label(self) -> str:
        """It as people write it."""
        return f"[{self.section}] {self.name}"

    @property
    def key(self) -> str:
        """It as the note of what was changed names it."""
        return f"{self.section}.{self.name}"


_EVERYWHERE = (
    Setting(
        "core",
        "min_serialized_dag_update_interval",
        "0",
        "else a run can be pinned to a version of a workflow whose Dag is not stored yet",
        "a Dag that changes all the time is written each time",
        required=True,
    ),
    Setting(
        "dag_processor",
        "min_file_process_interval",
        "300",
        "Airflow reads each Dag file again twice a minute, changed or not; uploaded workflows have one for all",
        "a Dag file that reads something else, such as a CWL document, follows its changes within 5 minutes "
        "(a change of the file itself is seen as before)",
    ),
    Setting(
        "core",
        "might_contain_dag_callable",
        "cwl_ui_plugin.dags.discovery.might_contain_dag",
        "Airflow skips Dag files without the word airflow; `from cwl_ui_plugin import CWLDAG` has none",
    ),
    Setting(
        "scheduler",
        "scheduler_idle_sleep_time",
        "0.1",
        "halves the time between steps that follow each other",
        "an idle scheduler asks the database ten times a second",
    ),
    Setting(
        "workers",
        "min_heartbeat_interval",
        "1",
        "failures and stops are noticed in 1 second instead of 5",
        "each running task calls the API server once a second",
    ),
)
"""The settings that are the same in all installations."""


def recommended(bundles: str, storage: str) -> tuple[Setting, ...]:
    """Return the settings; ``bundles`` is the list of Dag bundles to set, ``storage`` their folder."""
    return (
        Setting(
            "dag_processor",
            "dag_bundle_config_list",
            bundles,
            "the plugin's bundle turns uploaded workflows into Dags",
            required=True,
        ),
        Setting(
            "dag_processor",
            "dag_bundle_storage_path",
            storage,
            "the default is a temporary folder, which a restart may empty while runs still use it",
            "some disk space in the Airflow home",
        ),
        *_EVERYWHERE,
    )


def with_bundle(text: str | None) -> str:
    """Return a list of bundles (JSON) that has the plugin's beside those that are there."""
    known = _bundles(text) if text and text.strip() else [DAGS_FOLDER]
    there = next((bundle for bundle in known if bundle.get("name") == BUNDLE["name"]), None)
    if there is None:
        return json.dumps([*known, BUNDLE])
    if there.get("classpath") != BUNDLE["classpath"]:
        raise UsageError(
            f"[dag_processor] dag_bundle_config_list has another bundle that is named {BUNDLE['name']!r}; the plugin's "
            "has that name: rename the other one."
        )
    return text or ""


def without_bundle(text: str) -> str:
    """Return a list of bundles (JSON) without the plugin's; the same text where it has none."""
    known = _bundles(text)
    left = [bundle for bundle in known if bundle.get("classpath") != BUNDLE["classpath"]]
    return text if len(left) == len(known) else json.dumps(left)


def _bundles(text: str) -> list[dict[str, object]]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise UsageError(f"[dag_processor] dag_bundle_config_list is no JSON ({error}): {text}") from error
    if not isinstance(found, list) or not all(isinstance(bundle, dict) for bundle in found):
        raise UsageError(f"[dag_processor] dag_bundle_config_list is no list of JSON objects: {text}")
    return found
