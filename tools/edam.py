"""Write the names of EDAM's file formats into cwl_ui_plugin/cwl/edam_formats.json, so that pages show them offline.

    pip download --no-deps edam-ontology==1.25.3     # the ontology as a table, packaged by its maintainers' community
    python tools/edam.py edam_ontology-1.25.3-py3-none-any.whl

EDAM is licensed under CC BY-SA 4.0 (https://creativecommons.org/licenses/by-sa/4.0/); the file says so, and where it is
from. Only names and extensions of formats are taken, obsolete ones as well, since documents may name them.
"""

from __future__ import annotations

import csv
import io
import json
import re
import sys
import zipfile
from pathlib import Path

TARGET = Path(__file__).resolve().parents[1] / "cwl_ui_plugin" / "cwl" / "edam_formats.json"
TABLE = "edam_ontology/EDAM.tsv"
FORMAT = re.compile(r"http://edamontology\.org/format_([0-9]+)")
VERSION = re.compile(r"edam_ontology-([0-9]+\.[0-9]+)")


def main() -> None:
    """Read the wheel that the command line names, and write the file."""
    wheel = Path(sys.argv[1])
    version = VERSION.match(wheel.name)
    with zipfile.ZipFile(wheel) as package:
        rows = list(csv.DictReader(io.StringIO(package.read(TABLE).decode("utf-8")), delimiter="\t"))
    formats = [(found[1], row) for row in rows if (found := FORMAT.fullmatch(row["Class ID"]))]
    formats.sort(key=lambda pair: int(pair[0]))
    content = {
        "title": f"File formats of EDAM {version[1] if version else ''}: names and extensions",
        "source": "https://edamontology.org",
        "citation": "Ison et al. (2013), Bioinformatics 29(10), 1325-1332, doi:10.1093/bioinformatics/btt113",
        "licence": "CC BY-SA 4.0, https://creativecommons.org/licenses/by-sa/4.0/",
        "names": {number: row["Preferred Label"].strip() for number, row in formats},
        "extensions": {number: _extensions(row) for number, row in formats if _extensions(row)},
    }
    TARGET.write_text(json.dumps(content, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")
    print(f"{len(formats)} formats in {TARGET}")


def _extensions(row: dict[str, str]) -> list[str]:
    parts = (part.strip().lstrip(".").lower() for part in row["File extension"].split("|"))
    return [part for part in parts if re.fullmatch(r"[a-z0-9][a-z0-9.]{0,15}", part)]


if __name__ == "__main__":
    main()
