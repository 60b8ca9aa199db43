"""The Workflow Run RO-Crate of a run: its metadata, and a zip of it that is made while it is sent.

Provenance Run Crate 0.5 with Workflow Run and Process Run Crate, https://w3id.org/ro/wfrun/provenance/0.5.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from cwl_ui_plugin.cwl.packing import portable
from cwl_ui_plugin.library.versions import StoredVersion
from cwl_ui_plugin.services.crates.actions import Actions
from cwl_ui_plugin.services.crates.facts import MAX_EXECUTIONS, RunFacts, facts_of
from cwl_ui_plugin.services.crates.files import MAX_FILES, CrateFiles, Opener
from cwl_ui_plugin.services.crates.graph import PROFILE_VERSION, PROFILES, WORKFLOW_CRATE, CrateGraph, Reference
from cwl_ui_plugin.services.crates.logs import FOLDER as LOGS
from cwl_ui_plugin.services.crates.logs import CrateLogs, describe_logs
from cwl_ui_plugin.services.crates.reading import METADATA
from cwl_ui_plugin.services.crates.workflow import DOCUMENT, describe_workflow
from cwl_ui_plugin.services.inputs.access import InputAccess
from cwl_ui_plugin.services.workflows.details import source_names, source_place

README = "README.md"
SOURCES = "workflow"
_NO_LICENCE = "#no-licence"


@dataclass(frozen=True)
class Crate:
    """A crate: what it says, and what its zip has: names, and what opens each."""

    metadata: dict[str, object]
    entries: tuple[tuple[str, Opener], ...]


def crate_of(dag_id: str, run_id: str, *, access: InputAccess, with_data: bool, with_logs: bool = False) -> Crate:
    """Return the crate of a run, ``with_data`` with its outputs and the inputs that may be read by ``access``.

    ``with_logs`` brings along what its commands have printed, within the bounds of ``logs``.

    Raises:
        NotFound: there is no such run, or the version of the workflow that it used is not stored.
        Unavailable: that version has to be compiled again first.

    """
    facts, graph = facts_of(dag_id, run_id), CrateGraph()
    files = CrateFiles(facts, access, with_data, _server())
    workflow = describe_workflow(graph, facts.version.plan, facts.packed, dag_id, facts.version.digest)
    actions = Actions(graph, facts, files, workflow)
    done = actions.describe()
    logs = describe_logs(graph, facts) if with_logs else CrateLogs({}, is_cut=False)
    brought = dict(_sources(graph, facts.version)) | files.brought | logs.brought
    _name_original(graph, facts.version, workflow.main)
    readme = _read_me(graph, facts)
    _describe_crate(graph, facts, workflow.main, done, actions.agent, _cut(files, logs))
    metadata = graph.as_json()
    document = portable(facts.packed).encode()
    described = json.dumps(metadata, indent=2, ensure_ascii=False).encode("utf-8", "replace")
    texts = {METADATA: described, DOCUMENT: document, README: readme}
    return Crate(metadata, (*((name, partial(io.BytesIO, text)) for name, text in texts.items()), *brought.items()))


def _describe_crate(
    graph: CrateGraph, facts: RunFacts, main: Reference, done: list[Reference], agent: Reference | None, cut: str
) -> None:
    summary = facts.run.summary
    profiles = [f"{PROFILES}/{name}/{PROFILE_VERSION}" for name in ("process", "workflow", "provenance")]
    names = ("Process Run Crate", "Workflow Run Crate", "Provenance Run Crate")
    for identifier, name in (*zip(profiles, names, strict=True), (WORKFLOW_CRATE, "Workflow RO-Crate")):
        graph.add(identifier, "CreativeWork", name=name, version=identifier.rpartition("/")[2])
    graph.add(
        _NO_LICENCE, "CreativeWork", name="No licence", description="Nobody has stated under which licence this is."
    )
    title = summary.title or facts.version.plan.label or summary.dag_id
    told = "" if facts.is_whole else f" It had more than {MAX_EXECUTIONS} tasks, so what each of them did is left out."
    told += cut
    graph.describe(
        {
            "name": f"{title}: run {summary.run_id}",
            "description": f"A run of the workflow {summary.dag_id}, {summary.shown_state}.{told}",
            "datePublished": summary.ended_at or summary.started_at or summary.queued_at,
            "license": {"@id": _NO_LICENCE},
            "conformsTo": [{"@id": identifier} for identifier in (*profiles, WORKFLOW_CRATE)],
            "mainEntity": main,
            "mentions": done,
            **({"author": agent} if agent else {}),
        }
    )


def _cut(files: CrateFiles, logs: CrateLogs) -> str:
    """Say what the crate has no room for."""
    told = f" It had more than {MAX_FILES} files, which are not all described." if files.is_cut else ""
    return f"{told} Its commands have printed more than there is room for in a crate." if logs.is_cut else told


def _read_me(graph: CrateGraph, facts: RunFacts) -> bytes:
    """Return a text for people who open the crate, and describe it."""
    graph.add_part(README, "File", name="About this crate", encodingFormat="text/markdown", about={"@id": "./"})
    summary, steps = facts.run.summary, [step for _depth, step in facts.version.plan.all_steps()]
    lines = [
        f"# {_plain(facts.version.plan.label or summary.dag_id)}",
        "",
        f"A run of the workflow {_code(summary.dag_id)}, version `{facts.version.digest}`: {summary.shown_state}.",
        f"It is called {_code(summary.run_id)}, was started by {_plain(summary.started_by or 'nobody known')},",
        f"and ran from {summary.started_at} to {summary.ended_at}.",
        "",
        f"* `{METADATA}`: what was done, as a Workflow Run RO-Crate (https://w3id.org/ro/wfrun/provenance/0.5)",
        f"* `{DOCUMENT}`: the workflow in one file, for any CWL runner; below `{SOURCES}/` as it was uploaded",
        "* `inputs/`, `outputs/`: files, as far as the crate brings them along",
        f"* `{LOGS}/`: what the commands have printed, if that was wanted",
        "",
        "Steps:",
        "",
        *(f"* {_plain(step.label or step.id)}: {_code(step.tool_name)}{_container(step.container)}" for step in steps),
    ]
    return "\n".join([*lines, ""]).encode("utf-8", "replace")


def _container(image: str | None) -> str:
    return f", in {_code(image)}" if image else ""


def _plain(text: str) -> str:
    """Return what somebody wrote as text in Markdown: no links, pictures or HTML, and on one line."""
    return re.sub(r"([\\`*_\[\]<>&])", r"\\\1", " ".join(text.split()))


def _code(text: str) -> str:
    """Return a name as code in Markdown, which ends at a backquote only."""
    return f"`{' '.join(text.replace('`', chr(39)).split())}`"


def _sources(graph: CrateGraph, version: StoredVersion) -> Iterator[tuple[str, Opener]]:
    """Describe the files of the workflow as they were uploaded; yield each with what opens it."""
    place = source_place(version)
    for name in source_names(version):
        target = f"{SOURCES}/{name}"
        graph.add_part(target, "File", name=name, encodingFormat="text/plain", description="As it was uploaded.")
        yield target, partial(place.open, name)


def _name_original(graph: CrateGraph, version: StoredVersion, workflow: Reference) -> None:
    """Say which of the uploaded files the workflow is made of, and which process in it."""
    name, _, fragment = version.main.partition("#")
    original = {"@id": f"{SOURCES}/{name}"}
    if name not in source_names(version):
        return
    if fragment:
        original = graph.add(f"{SOURCES}/{name}#{fragment}", "SoftwareSourceCode", name=fragment)
    graph.append(workflow, "isBasedOn", original)


def _server() -> str:
    """Return the address of this server as its site gives it; nothing where it does not."""
    from airflow.configuration import conf

    return str(conf.get("api", "base_url", fallback="")).rstrip("/")
