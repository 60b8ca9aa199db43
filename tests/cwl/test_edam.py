"""File formats by their names, without a network and without an ontology in memory."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.resources import files

import pytest

from cwl_ui_plugin.cwl import edam

EDAM = "http://edamontology.org/format_"


@pytest.mark.parametrize(
    ("address", "name"),
    [
        (f"{EDAM}1930", "FASTQ"),
        ("https://edamontology.org/format_2572", "BAM"),
        ("edam:format_3016", "VCF"),
        (f"{EDAM}999999", f"{EDAM}999999"),
        (f"{EDAM}1930x", f"{EDAM}1930x"),
        ("http://example.org/format_1930", "http://example.org/format_1930"),
        ("", ""),
    ],
)
def test_a_format_is_called_by_its_name(address: str, name: str) -> None:
    assert edam.format_name(address) == name


def test_extensions_are_those_of_common_formats_and_of_the_ontology() -> None:
    assert edam.extensions(f"{EDAM}1930") == ("fastq", "fq", "fastq.gz", "fq.gz")
    assert edam.extensions(f"{EDAM}2572") == ("bam",)
    assert edam.extensions(f"{EDAM}3261") == ("rdf",)
    assert edam.extensions("http://example.org/x") == ()


def test_the_file_says_whose_it_is() -> None:
    table = json.loads((files("cwl_ui_plugin.cwl") / "edam_formats.json").read_text(encoding="utf-8"))
    assert "CC BY-SA 4.0" in table["licence"]
    assert table["source"] == "https://edamontology.org"
    assert len(table["names"]) > 700


def test_names_cost_no_ontology() -> None:
    code = "import sys; from cwl_ui_plugin.cwl import edam; edam.format_name('x'); print('rdflib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
