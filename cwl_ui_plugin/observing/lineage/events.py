"""What Airflow's OpenLineage provider puts into the events of a task. Imported only where it asks."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any, TypeAlias

from airflow.providers.openlineage.extractors import OperatorLineage
from openlineage.client.event_v2 import Dataset, InputDataset, OutputDataset
from openlineage.client.facet_v2 import (
    DatasetFacet,
    JobFacet,
    RunFacet,
    dataset_version_dataset,
    input_statistics_input_dataset,
    output_statistics_output_dataset,
    source_code_job,
    source_code_location_job,
)

from cwl_ui_plugin import addresses
from cwl_ui_plugin.config import base_url
from cwl_ui_plugin.cwl.plan import Plan, read_plan
from cwl_ui_plugin.observing.lineage import facets
from cwl_ui_plugin.observing.lineage.datasets import FileDataset, datasets_of
from cwl_ui_plugin.observing.lineage.noting import Noted, Subject
from cwl_ui_plugin.version import __version__

PRODUCER = f"https://pypi.org/project/cwl-ui-plugin/{__version__}"
MAX_COMMAND = 4000
MAX_SOURCE = 50_000
"""Characters of a document that an event carries; of a longer one there is its location only."""
MAX_TEXT = 1000
"""Characters of a name or a format."""
LANGUAGE = "CWL"
Lineage: TypeAlias = "OperatorLineage[Dataset, RunFacet | JobFacet]"


def at_start(subject: Subject) -> Lineage:
    """Return what is known of a task that starts."""
    return OperatorLineage(job_facets=_job_facets(subject))


def at_end(subject: Subject, noted: Noted) -> Lineage:
    """Return what is known of a task that has ended."""
    read, made = datasets_of(noted.inputs), datasets_of(noted.outputs)
    run = facets.CwlRunFacet(
        inputs=read.count,
        inputsNamed=len(read.named),
        outputs=made.count,
        outputsNamed=len(made.named),
        **_ending(noted),
        producer=PRODUCER,
    )
    run_facets: dict[str, RunFacet | JobFacet] = {facets.RUN: run}
    return OperatorLineage(
        inputs=[_input(dataset) for dataset in read.named],
        outputs=[_output(dataset) for dataset in made.named],
        run_facets=run_facets,
        job_facets=_job_facets(subject),
    )


def _ending(noted: Noted) -> dict[str, Any]:
    """Return the fields of the run's facet that tell how it went."""
    told = {**(noted.statistics or {}), **(noted.failure or {})}
    return {
        "command": _command_line(told.get("command")),
        "exitCode": told.get("exit_code"),
        "seconds": told.get("seconds"),
        "cpuSeconds": told.get("cpu_seconds"),
        "peakMemoryBytes": told.get("peak_memory_bytes"),
        "reused": told.get("reused"),
        "failure": told.get("kind"),
    }


def _command_line(words: Sequence[str] | None) -> str | None:
    if not words:
        return None
    line = shlex.join(words)
    return line if len(line) <= MAX_COMMAND else f"{line[:MAX_COMMAND]}…"


def _job_facets(subject: Subject) -> dict[str, RunFacet | JobFacet]:
    plan = read_plan(subject.compiled)
    digest = subject.source.parent.name
    step = subject.step
    made: dict[str, RunFacet | JobFacet] = {
        facets.JOB: facets.CwlJobFacet(
            version=digest,
            document=plan.main,
            cwlVersion=plan.cwl_version,
            processClass=plan.kind,
            step=step.full_id if step else None,
            tool=step.tool_name if step else None,
            toolClass=step.tool if step else None,
            containerImage=step.container if step else None,
            scatter=[name.rpartition("/")[2] for name in step.scatter] if step and step.scatter else None,
            producer=PRODUCER,
        ),
        "sourceCodeLocation": source_code_location_job.SourceCodeLocationJobFacet(
            type="cwl-ui-plugin",
            url=f"{base_url()}{addresses.workflow_source(subject.dag_id, digest)}",
            path=plan.main,
            version=digest,
            producer=PRODUCER,
        ),
    }
    text = _source(subject, plan) if subject.is_first else None
    if text is not None:
        made["sourceCode"] = source_code_job.SourceCodeJobFacet(LANGUAGE, text, producer=PRODUCER)
    return made


def _source(subject: Subject, plan: Plan) -> str | None:
    """Return the text of the main document, unless the site wants no source code in events, or it is long."""
    from airflow.providers.openlineage.conf import is_source_enabled

    if not is_source_enabled():
        return None
    path = subject.source / plan.main.partition("#")[0]
    try:
        if path.stat().st_size > MAX_SOURCE:
            return None
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


def _input(dataset: FileDataset) -> InputDataset:
    statistics = input_statistics_input_dataset.InputStatisticsInputDatasetFacet(
        size=_size(dataset), fileCount=_file_count(dataset), producer=PRODUCER
    )
    return InputDataset(
        dataset.namespace, dataset.name, facets=_common(dataset), inputFacets={"inputStatistics": statistics}
    )


def _output(dataset: FileDataset) -> OutputDataset:
    statistics = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
        size=_size(dataset), fileCount=_file_count(dataset), producer=PRODUCER
    )
    return OutputDataset(
        dataset.namespace, dataset.name, facets=_common(dataset), outputFacets={"outputStatistics": statistics}
    )


def _common(dataset: FileDataset) -> dict[str, DatasetFacet]:
    item = dataset.item
    checksum = _text(item.get("checksum"))
    made: dict[str, DatasetFacet] = {
        facets.FILE: facets.CwlFileDatasetFacet(
            fileClass=item["class"],
            basename=_text(item.get("basename")),
            checksum=checksum,
            size=_size(dataset),
            format=_text(item.get("format")),
            producer=PRODUCER,
        )
    }
    if checksum:
        made["version"] = dataset_version_dataset.DatasetVersionDatasetFacet(checksum, producer=PRODUCER)
    return made


def _text(value: object) -> str | None:
    return value[:MAX_TEXT].encode("utf-8", "replace").decode() if isinstance(value, str) else None


def _size(dataset: FileDataset) -> int | None:
    size = dataset.item.get("size")
    return size if isinstance(size, int) else None


def _file_count(dataset: FileDataset) -> int | None:
    """One file is one; how many a folder has is not counted for this."""
    return 1 if dataset.item["class"] == "File" else None
