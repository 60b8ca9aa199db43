"""Running the Python of a page or a notebook as its reader would, cell by cell: ``run_examples.py FILE``.

No kernel is started: the cells of ours need none, and Jupyter takes seconds to start.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path


def cells(path: Path) -> list[str]:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        return ["".join(cell["source"]) for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    return re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def main(path: Path) -> None:
    import importlib.util

    assert importlib.util.find_spec("airflow") is None, "the client does without"
    found = cells(path)
    assert found, f"there is no Python in {path}"
    namespace: dict[str, object] = {"__name__": "__main__"}
    for number, cell in enumerate(found, 1):
        exec(compile(cell, f"{path.name}, cell {number}", "exec"), namespace)
    print(f"{len(found)} cells have run")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
