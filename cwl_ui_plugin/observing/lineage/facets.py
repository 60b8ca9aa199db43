"""The plugin's own facets. Their schemas are in ``schemas/``, and served by the REST API: where their URLs lead."""

from __future__ import annotations

from typing import ClassVar

import attr
from openlineage.client.facet_v2 import DatasetFacet, JobFacet, RunFacet

from cwl_ui_plugin.observing.lineage.schema_files import schema_url

JOB, RUN, FILE = "cwl_job", "cwl_run", "cwl_file"
"""Under which names they stand in an event."""


@attr.define
class CwlJobFacet(JobFacet):
    """Which part of which version of which CWL document a job is."""

    version: str
    """The digest of the workflow's files: SHA-256, cut to 32 digits."""
    document: str
    """The main file, relative to these."""
    cwlVersion: str
    processClass: str
    step: str | None = attr.field(default=None)
    tool: str | None = attr.field(default=None)
    toolClass: str | None = attr.field(default=None)
    containerImage: str | None = attr.field(default=None)
    scatter: list[str] | None = attr.field(default=None)
    _additional_skip_redact: ClassVar[list[str]] = ["version", "cwlVersion", "processClass", "toolClass"]

    @staticmethod
    def _get_schema() -> str:
        return schema_url("CwlJobFacet")


@attr.define
class CwlRunFacet(RunFacet):
    """How a task went. Of its files ``...Named`` are datasets of the event; there may be more."""

    inputs: int = attr.field(default=0)
    inputsNamed: int = attr.field(default=0)
    outputs: int = attr.field(default=0)
    outputsNamed: int = attr.field(default=0)
    command: str | None = attr.field(default=None)
    """The command line, with a placeholder for each secret; of several the one that failed, or the last."""
    exitCode: int | None = attr.field(default=None)
    seconds: float | None = attr.field(default=None)
    cpuSeconds: float | None = attr.field(default=None)
    peakMemoryBytes: int | None = attr.field(default=None)
    reused: bool | None = attr.field(default=None)
    failure: str | None = attr.field(default=None)
    """``permanentFail``, ``temporaryFail`` or ``stopped``."""

    @staticmethod
    def _get_schema() -> str:
        return schema_url("CwlRunFacet")


@attr.define
class CwlFileDatasetFacet(DatasetFacet):
    """What CWL says of a file."""

    fileClass: str
    basename: str | None = attr.field(default=None)
    checksum: str | None = attr.field(default=None)
    size: int | None = attr.field(default=None)
    format: str | None = attr.field(default=None)
    _additional_skip_redact: ClassVar[list[str]] = ["fileClass", "checksum", "size"]

    @staticmethod
    def _get_schema() -> str:
        return schema_url("CwlFileDatasetFacet")
