"""Workflows in the shape of those that laboratories run: 30 to 60 steps with long labels, dozens of inputs and outputs.

As the pipelines of datirium/workflows: reads are unpacked and trimmed, aligned, sorted, filtered and counted, with
reports, plots and tracks as outputs; some steps are scattered, conditional, or workflows themselves.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

CWL = dict[str, Any]
_TASKS = (
    ("extract_fastq", "Loading unmapped sequence data for read {n}"),
    ("trim_fastq", "Remove adapters and bases of low quality from the reads"),
    ("rename_reads", "Rename FASTQ file {n}"),
    ("fastx_quality_stats", "Quality statistics of each cycle of the sequencer"),
    ("bowtie_aligner", "Alignment to the reference genome with Bowtie"),
    ("star_aligner", "RNA-Seq alignment with STAR (two passes)"),
    ("samtools_sort_index", "Sort and index the alignment"),
    ("samtools_remove_duplicates", "Remove PCR duplicates"),
    ("macs2_callpeak", "Peak calling with MACS2"),
    ("rpkm_calculation", "Calculate RPKM for isoforms, genes and common TSS"),
    ("island_intersect", "Nearest genes and genomic regions of the peaks"),
    ("average_tag_density", "Average tag density around transcription start sites"),
    ("bam_to_bigwig", "Genome coverage as bigWig track"),
    ("get_stat", "Collect the statistics of alignment and duplicates"),
    ("preseq", "Library complexity estimated by Preseq"),
    ("deseq", "Differential expression between conditions (DESeq2)"),
    ("volcano_plot", "Volcano plot"),
    ("heatmap", "Heatmap of the most variable genes, clustered by rows and columns"),
    ("multiqc", "MultiQC report"),
)
_TITLES = (
    "ChIP-Seq pipeline paired-end",
    "Trim Galore RNA-Seq pipeline paired-end strand specific",
    "ATAC-Seq pipeline single-read",
    "Cell Ranger count and aggregate, then cluster with Seurat and find markers of each cluster",
    "Single-cell multiome ATAC and RNA-Seq filtering analysis",
    "CUT&RUN/TAG MACS2 pipeline paired-end",
    "DESeq2 for several conditions with likelihood ratio test",
    "Genome-wide methylation: Bismark, coverage and differentially methylated regions",
    "Build the indices of a genome for STAR, Bowtie, Cell Ranger and Bismark",
    "Variant calling of a cohort, with annotation and a report for each sample",
)
_KINDS: tuple[tuple[str, Any, Any], ...] = (
    ("threads", "int?", 4),
    ("clip_3p_end", "int?", 0),
    ("remove_duplicates", "boolean?", False),
    ("annotation_file", "File?", ...),
    ("chrom_length_file", "File?", ...),
    ("exp_fragment_size", "int?", 150),
    ("q_value", "float?", 0.05),
    ("promoter_distance", "int?", 1000),
    ("species", {"type": "enum", "symbols": ["human", "mouse", "fly"]}, "human"),
    ("labels", "string[]?", ...),
)
TOOL: CWL = {
    "class": "CommandLineTool",
    "baseCommand": "true",
    "hints": {"DockerRequirement": {"dockerPull": "biowardrobe2/scidap:v0.0.3"}},
    "inputs": {"files": "Any?", "more": "Any?", "setting": "Any?"},
    "outputs": {"result": {"type": "string?", "outputBinding": {"outputEval": "$(null)"}}},
}


@dataclass
class _Made:
    """A pipeline on its way: its steps by name, and which were made in each stage."""

    chance: random.Random
    steps: dict[str, CWL] = field(default_factory=dict)


def pipelines() -> dict[str, CWL]:
    """Return ten pipelines by name."""
    sizes = ((30, 24, 22), (42, 38, 40), (36, 20, 28), (55, 45, 34), (60, 52, 48), (33, 6, 5), (38, 30, 44))
    sizes += ((46, 33, 25), (30, 12, 36), (58, 26, 30))
    return {f"pipeline-{at}": pipeline(_TITLES[at], *size, seed=at) for at, size in enumerate(sizes)}


def pipeline(label: str, steps: int, inputs: int, outputs: int, *, seed: int = 0) -> CWL:
    """Return a workflow of so many steps, inputs and outputs; the same one for the same numbers."""
    made = _Made(random.Random(seed))
    names = [_step(made, number, inputs, steps) for number in range(steps)]
    ends = [made.chance.choice(names[steps // 4 :]) if number else names[-1] for number in range(outputs)]
    return {
        "cwlVersion": "v1.2",
        "class": "Workflow",
        "label": label,
        "doc": "\n".join(f"Paragraph {number}: {label} does what laboratories need.\n" for number in range(30)),
        "requirements": {
            "ScatterFeatureRequirement": {},
            "SubworkflowFeatureRequirement": {},
            "MultipleInputFeatureRequirement": {},
            "InlineJavascriptRequirement": {},
        },
        "inputs": {f"input_{number}": _input(number) for number in range(inputs)},
        "outputs": {f"output_{number}": _output(number, end) for number, end in enumerate(ends)},
        "steps": made.steps,
    }


def _step(made: _Made, number: int, inputs: int, total: int) -> str:
    task, label = _TASKS[number * len(_TASKS) // total]
    name = f"{task}_{number}"
    before = list(made.steps)[-6:]
    step: CWL = {
        "label": label.format(n=number),
        "run": _subworkflow() if number % 11 == 10 else TOOL,
        "in": {"setting": f"input_{made.chance.randrange(inputs)}"},
        "out": ["result"],
    }
    if before and number > 2:
        step["in"]["files"] = f"{made.chance.choice(before)}/result"
        if number % 3 == 0:
            step["in"]["more"] = f"{made.chance.choice(before)}/result"
    if number % 9 == 4:
        step |= {"scatter": "setting", "in": {**step["in"], "setting": "input_9" if inputs > 9 else "input_0"}}
    if number % 7 == 5 and "scatter" not in step:
        step["when"] = "$(inputs.setting != null)"
    made.steps[name] = step
    return name


def _subworkflow() -> CWL:
    inner = {
        name: {"label": label, "run": TOOL, "in": {"files": "files", "setting": "setting"}, "out": ["result"]}
        for name, label in (("sort", "Sort the alignment"), ("index", "Index the alignment"), ("count", "Count reads"))
    }
    inner["index"]["in"]["files"] = "sort/result"
    inner["count"]["in"]["files"] = "index/result"
    inputs = dict.fromkeys(TOOL["inputs"], "Any?")
    outputs = {"result": {"type": "string?", "outputSource": "count/result"}}
    return {"class": "Workflow", "inputs": inputs, "outputs": outputs, "steps": inner}


def _input(number: int) -> CWL:
    if number < 2:
        return {"type": "File[]", "label": f"FASTQ files of read {number + 1}", "doc": "Reads, may be compressed."}
    name, kind, default = _KINDS[number % len(_KINDS)]
    made: CWL = {
        "type": kind,
        "label": f"{name.replace('_', ' ').capitalize()}, setting {number} of the analysis",
        "doc": f"Sets **{name}**. It is handed on to each tool that takes it; leave it as it is if you are not sure.",
    }
    return made if default is ... else {**made, "default": default}


def _output(number: int, end: str) -> CWL:
    return {"type": "Any?", "outputSource": f"{end}/result", "label": f"Result {number}: table, plot or track"}
