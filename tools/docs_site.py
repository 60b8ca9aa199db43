"""What mkdocs is told besides mkdocs.yml: the pages that stand outside of docs/, and the inside of the package."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))
import reference  # noqa: E402

PACKAGE = ROOT / "cwl_ui_plugin"
_LINK = re.compile(r"\]\(((?:\.\./)*)((?:CHANGELOG|CONTRIBUTING|SECURITY)\.md)")
_FETCHED = re.compile(r"""(?:src|srcset)=["']?(?:https?:)?//[^"' >]+|<link[^>]+href=["']?(?:https?:)?//[^>]+""")
OUTSIDE = {"CHANGELOG.md": "changes.md", "CONTRIBUTING.md": "contributing.md", "SECURITY.md": "vulnerabilities.md"}
"""Readers of the repository look for these in its root; ``security.md`` is another page, in whatever case."""


def on_config(config: Any) -> Any:
    """Name the pages about the inside of the package."""
    inside = [{package: f"inside/{package}.md"} for package in _packages()]
    config["nav"].insert(-2, {"Inside the package": inside})
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are not in docs/."""
    for name, page in OUTSIDE.items():
        text = (ROOT / name).read_text(encoding="utf-8").replace("](docs/", "](")
        files.append(File.generated(config, page, content=_LINK.sub(_to_page, text)))
    for package, folder in _packages().items():
        files.append(File.generated(config, f"inside/{package}.md", content="\n".join(_inside(package, folder))))
    return files


def on_page_markdown(markdown: str, page: Any, **_more: Any) -> str:
    """Let links out of docs/ lead to the pages above."""
    up = "../" * page.file.src_uri.count("/")
    return _LINK.sub(lambda found: _to_page(found, up) if found[1] == f"{up}../" else found[0], markdown)


def _to_page(found: re.Match[str], up: str = "") -> str:
    return f"]({up}{OUTSIDE[found[2]]}"


def on_post_page(output: str, page: Any, **_more: Any) -> str:
    """Refuse a page that would fetch anything from elsewhere: it must work offline, and tell nobody who reads it."""
    fetched = _FETCHED.findall(output)
    if fetched:
        raise PluginError(f"{page.file.src_uri} fetches {fetched[0]}")
    return output


def _packages() -> dict[str, Path]:
    """Return the packages with their folders; migrations are no library."""
    folders = sorted(path.parent for path in PACKAGE.rglob("__init__.py") if "migrations" not in path.parts)
    return {".".join(folder.relative_to(ROOT).parts): folder for folder in folders}


def _inside(package: str, folder: Path) -> Iterator[str]:
    yield from (f"# {package}", "", "Read from the code. Nobody outside of the package may rely on it.", "")
    for module in sorted(folder.glob("*.py")):
        tree = ast.parse(module.read_text(encoding="utf-8"))
        described = list(reference.described(tree.body))
        if described or module.name != "__init__.py":
            yield from ("", f"## {module.name}", "", reference.prose(ast.get_docstring(tree)), "", *described)
