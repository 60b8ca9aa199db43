"""Crates that somebody sends: a small good one, and others with something wrong in them."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from typing import Any

INPUTS = {"reads": "File?", "count": "int?"}
TOOL = {"cwlVersion": "v1.2", "class": "CommandLineTool", "baseCommand": "true", "inputs": INPUTS, "outputs": {}}
WORKFLOW = {
    "@id": "main.cwl",
    "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow"],
    "programmingLanguage": {"@id": "https://w3id.org/workflowhub/workflow-ro-crate#cwl"},
    "input": [{"@id": "main.cwl#reads"}, {"@id": "main.cwl#count"}],
}
ACTION = {"@id": "#run", "@type": "CreateAction", "instrument": {"@id": "main.cwl"}, "object": {"@id": "in/reads.txt"}}
READS = {
    "@id": "in/reads.txt",
    "@type": "File",
    "exampleOfWork": {"@id": "main.cwl#reads"},
    "sha1": hashlib.sha1(b"ACGT").hexdigest(),
}


def metadata(*others: dict[str, Any], **changes: Any) -> bytes:
    about = {"@id": "ro-crate-metadata.json", "@type": "CreativeWork", "about": {"@id": "./"}}
    root = {"@id": "./", "@type": "Dataset", "mainEntity": {"@id": "main.cwl"}}
    return json.dumps({"@graph": [about, root, {**WORKFLOW, **changes}, *(others or (ACTION, READS))]}).encode()


def zipped(entries: dict[str, bytes]) -> io.BytesIO:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    made.seek(0)
    return made


def crate(**changes: bytes | None) -> io.BytesIO:
    """A crate; ``changes`` are other contents of its files, or None for one that is left out."""
    names = {"described": "ro-crate-metadata.json", "main": "main.cwl", "reads": "in/reads.txt"}
    contents = {"described": metadata(), "main": json.dumps(TOOL).encode(), "reads": b"ACGT", **changes}
    return zipped({names.get(key, key): content for key, content in contents.items() if content is not None})
