"""What the pages are made of: files of other projects as these have them, and sources that people can read."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STATIC = ROOT / "static"
VENDOR = STATIC / "vendor"
MAX_TEMPLATE_LINE = 159
IMPORT = re.compile(r"""(?:from|import) ["'](\./[^"']+)["']""")
FOLDER = re.compile(r"vendor/([a-z-]+-[0-9.]+)/")


def test_vendored_files_are_what_their_packages_have() -> None:
    readme = (VENDOR / "README.md").read_text()
    told = dict(re.findall(r"^\| `([^`|]+)` \| `[^`]+` \| `([0-9a-f]{64})` \|$", readme, re.MULTILINE))
    files = [path for path in VENDOR.rglob("*") if path.is_file() and path != VENDOR / "README.md"]
    assert told == {
        path.relative_to(VENDOR).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files
    }
    folders = {path.name for path in VENDOR.iterdir() if path.is_dir()}
    assert set(re.findall(r"^\| `([^`/]+)` \| \[", readme, re.MULTILINE)) == folders
    used = {name for path in STATIC.glob("*.js") for name in FOLDER.findall(path.read_text())}
    assert used == folders


@pytest.mark.parametrize("path", sorted((ROOT / "templates").rglob("*.html")), ids=lambda path: path.name)
def test_lines_of_templates_can_be_read(path: Path) -> None:
    assert [line for line in path.read_text().splitlines() if len(line) > MAX_TEMPLATE_LINE] == []


def test_scripts_import_what_is_there_and_every_script_is_used() -> None:
    imported = set()
    for path in STATIC.glob("*.js"):
        for address in IMPORT.findall(path.read_text()):
            assert (STATIC / address).is_file(), f"{path.name} imports {address}"
            imported.add((STATIC / address).resolve())
    templates = "".join(path.read_text() for path in (ROOT / "templates").rglob("*.html"))
    unused = [path.name for path in STATIC.glob("*.js") if path not in imported and f'"{path.name}"' not in templates]
    assert [name for name in unused if f"asset('{name}')" not in templates] == []


def test_every_class_of_the_styles_is_used() -> None:
    styles = "".join(path.read_text() for path in STATIC.glob("*.css"))
    styles = re.sub(r"/\*.*?\*/", "", styles, flags=re.DOTALL)
    selectors = re.findall(r"([^{}]+)\{", styles)
    classes = {name for selector in selectors for name in re.findall(r"\.(-?[a-zA-Z_][\w-]*)", selector)}
    sources = [
        *(ROOT / "templates").rglob("*.html"),
        *STATIC.glob("*.js"),
        *(ROOT / "cwl_ui_plugin/views").rglob("*.py"),
    ]
    words = set(re.findall(r"[\w-]+", "".join(path.read_text() for path in sources)))
    # What Pygments gives tokens begins with hl-.
    assert sorted(name for name in classes - words if not name.startswith("hl-")) == []
