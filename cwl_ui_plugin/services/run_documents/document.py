"""The report of a run: one HTML file for reading and printing, with no scripts, that asks nobody for anything."""

from __future__ import annotations

from datetime import datetime, timezone
from functools import cache
from typing import TYPE_CHECKING

from cwl_ui_plugin import resources
from cwl_ui_plugin.plain_words import bytes_text, duration, moment
from cwl_ui_plugin.services.crates.actions import ENGINES
from cwl_ui_plugin.services.crates.facts import facts_of
from cwl_ui_plugin.services.inputs.access import InputAccess
from cwl_ui_plugin.services.run_documents import files, pictures, steps

if TYPE_CHECKING:
    from jinja2 import Environment, Template

TEMPLATE = "cwl_ui_plugin/run_document.html"


def document_of(dag_id: str, run_id: str, *, access: InputAccess, user: str) -> str:
    """Return the report of a run as HTML, as ``user`` may see it; checksums only of inputs that ``access`` opens.

    Raises:
        NotFound: there is no such run, or the version of the workflow that it used is not stored.
        Unavailable: that version has to be compiled again first.

    """
    facts = facts_of(dag_id, run_id)
    text: str = _template().render(
        run=facts.run,
        summary=facts.run.summary,
        plan=facts.version.plan,
        version=facts.version,
        engines=_versions(),
        steps=steps.steps_of(facts),
        parameters=files.parameters_of(facts),
        inputs=files.inputs_of(facts, access),
        outputs=files.outputs_of(facts),
        pictures=pictures.pictures_of(dag_id, run_id),
        made_at=datetime.now(timezone.utc).isoformat(),
        made_by=user,
    )
    return text.encode("utf-8", "replace").decode()


def _versions() -> list[tuple[str, str]]:
    from importlib.metadata import version

    return [(name, version(package)) for name, package in ENGINES]


@cache
def _template() -> Template:
    return _environment().get_template(TEMPLATE)


def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(resources.folder("templates")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    made.filters |= {"moment": moment, "duration": duration, "bytes": bytes_text}
    return made
