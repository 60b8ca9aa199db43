"""What a client asks WES to run: the fields of a RunRequest beside the document, checked and kept with the run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from importlib.metadata import version

from cwl_ui_plugin import config
from cwl_ui_plugin.services.errors import BadRequest
from cwl_ui_plugin.services.triggering.triggers import check_run_id
from cwl_ui_plugin.strict_json import is_text
from cwl_ui_plugin.version import __version__

TYPE = "CWL"
VERSIONS = ("v1.0", "v1.1", "v1.2")
DRAFTS = ("v1.3.0-dev1",)
ENGINE = "cwl-ui-plugin"
RUN_ID, TITLE, OUTPUTS, INTERMEDIATE = "run_id", "title", "output_folder", "tmp_folder"
PARAMETERS = (RUN_ID, TITLE, OUTPUTS, INTERMEDIATE)
"""What ``workflow_engine_parameters`` may have; all are texts, and empty by default."""
FOLDERS = (OUTPUTS, INTERMEDIATE)
"""Those of them that a job of CWL may name here, too."""
MAX_TAGS = 100
MAX_TAG = 1000
MAX_URL = 2000


def engines() -> dict[str, str]:
    """Return what runs the workflows, by name, with its version."""
    return {ENGINE: __version__, "cwltool": version("cwltool"), "apache-airflow": version("apache-airflow-core")}


def versions() -> tuple[str, ...]:
    """Return the versions of CWL that are run here."""
    return (*VERSIONS, *DRAFTS) if config.flag("allow_draft_versions") else VERSIONS


@dataclass(frozen=True)
class RunRequest:
    """A RunRequest of WES 1.1 without ``workflow_params``; ``attachments`` names the folder of those that came."""

    workflow_type: str = ""
    workflow_type_version: str = ""
    workflow_url: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    workflow_engine: str = ""
    workflow_engine_version: str = ""
    workflow_engine_parameters: Mapping[str, str] = field(default_factory=dict)
    attachments: str = ""

    def check(self) -> None:
        """Raise :class:`BadRequest` for what this service does not have, or can't keep."""
        for name in ("workflow_type", "workflow_type_version", "workflow_url"):
            if not getattr(self, name):
                raise BadRequest(f"The request has no {name}.")
        if self.workflow_type.upper() != TYPE:
            raise BadRequest(f"The workflow_type is {self.workflow_type[:80]!r}; this service runs {TYPE}.")
        if self.workflow_type_version not in versions():
            raise BadRequest(
                f"The workflow_type_version is {self.workflow_type_version[:80]!r}; this service runs "
                f"{', '.join(versions())}."
            )
        if len(self.workflow_url) > MAX_URL:
            raise BadRequest(f"The workflow_url has more than {MAX_URL} characters.")
        self._check_engine()
        self._check_tags()
        check_run_id(self.workflow_engine_parameters.get(RUN_ID))

    def as_json(self) -> dict[str, object]:
        """Return what is there of it."""
        return {name: value for name, value in asdict(self).items() if value or name == "tags"}

    @classmethod
    def kept(cls, value: object) -> RunRequest | None:
        """Return what a conf has kept of a request; None where it is none: confs are also written by other clients."""
        texts = texts_of(value)
        given = {item.name: texts[item.name] for item in fields(cls) if item.name in texts}
        if not isinstance(value, dict) or not given.get("workflow_url"):
            return None
        objects = {name: texts_of(value.get(name)) for name in ("tags", "workflow_engine_parameters")}
        return replace(cls(**given), **objects)  # type: ignore[arg-type]

    def _check_engine(self) -> None:
        known = engines()
        engine, wanted = self.workflow_engine, self.workflow_engine_version
        if engine and engine not in known:
            raise BadRequest(f"The workflow_engine is {engine[:80]!r}; this service has {', '.join(known)}.")
        if wanted and not engine:
            raise BadRequest("A workflow_engine_version needs a workflow_engine.")
        if wanted and wanted != known[engine]:
            raise BadRequest(f"This service has {engine} {known[engine]}, and no version {wanted[:80]!r}.")
        unknown = sorted(set(self.workflow_engine_parameters) - set(PARAMETERS))
        if unknown:
            names = ", ".join(name[:80] for name in unknown[:10])
            raise BadRequest(f"Unknown workflow_engine_parameters: {names}; there are {', '.join(PARAMETERS)}.")

    def _check_tags(self) -> None:
        if len(self.tags) > MAX_TAGS:
            raise BadRequest(f"A run has {MAX_TAGS} tags at most; these are {len(self.tags)}.")
        for text in (*self.tags, *self.tags.values()):
            if len(text) > MAX_TAG or not is_text(text):
                raise BadRequest(f"Names and values of tags are texts with {MAX_TAG} characters at most.")


def texts_of(value: object) -> dict[str, str]:
    """Return those of an object's values that are texts; nothing for what is no object."""
    return {name: text for name, text in value.items() if isinstance(text, str)} if isinstance(value, dict) else {}
