"""What Airflow's own lists show of a workflow: its uploader as the owner, its label as the name.

Both come from outside: they are one line of bounded length, without anything that can't be seen.
"""

from __future__ import annotations

from cwl_ui_plugin.cwl.plan import Plan
from cwl_ui_plugin.library.versions import StoredVersion

MAX_LABEL = 200
MAX_OWNER = 100


def display_name(plan: Plan, dag_id: str) -> str:
    """Return the label of a workflow, its ``dag_id`` where it has none that can be shown."""
    return one_line(plan.label or "", MAX_LABEL) or dag_id


def default_arguments(version: StoredVersion) -> dict[str, str]:
    """Return what all tasks of a workflow have: its uploader as their owner; nothing for a document of a Dag file."""
    owner = one_line(version.uploaded_by.replace(",", " "), MAX_OWNER)  # Airflow takes a comma for two owners
    return {"owner": owner} if owner else {}


def one_line(text: str, most: int) -> str:
    """Return a text as one line of at most ``most`` characters, without those that only change how others look."""
    seen = (letter if letter.isprintable() else " " if letter.isspace() else "" for letter in text[: 4 * most])
    line = " ".join("".join(seen).split())
    return line if len(line) <= most else f"{line[: most - 1]}…"
