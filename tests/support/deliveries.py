"""Making outputs, delivering them, and looking whether what was delivered is what was given."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cwl_ui_plugin.cwl.engine.outputs import placing
from cwl_ui_plugin.cwl.engine.outputs.delivery import Destination, deliver
from cwl_ui_plugin.cwl.files import local_path

Object = dict[str, Any]


class Maker:
    """Makes Files and Directories, each in a folder of its own, with contents that no other has."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.count = 0

    def path(self, name: str) -> Path:
        self.count += 1
        place = self.folder / f"task-{self.count}"
        place.mkdir(parents=True)
        return place / name

    def file(self, name: str, *secondary: Object, **more: Any) -> Object:
        path = self.path(name)
        path.write_text(f"content {self.count}")
        found = {"class": "File", "location": path.as_uri(), "basename": name, **more}
        return found | ({"secondaryFiles": list(secondary)} if secondary else {})

    def folder_of(self, name: str, *files: str, **more: Any) -> Object:
        path = self.path(name)
        path.mkdir()
        for file in files:
            (path / file).parent.mkdir(parents=True, exist_ok=True)
            (path / file).write_text(f"content {self.count} {file}")
        return {"class": "Directory", "location": path.as_uri(), "basename": name, **more}


def delivered(outputs: Object, out: Path, **more: Any) -> Object:
    """Deliver, and check what holds of every delivery."""
    result = deliver(outputs, Destination(out, root=out.parent, **more))
    compare(outputs, result, out)
    assert not list(out.rglob(f"{placing.PART}*"))
    places = [(str(given["location"]), placed["location"]) for given, placed in pairs(outputs, result)]
    for source, place in places:
        assert {other for other, there in places if there == place} == {source}, "two outputs share a place"
    return result


def pairs(given: Any, placed: Any) -> Iterator[tuple[Object, Object]]:
    if isinstance(given, list):
        for one, other in zip(given, placed, strict=False):
            yield from pairs(one, other)
    elif isinstance(given, dict):
        if given.get("class") in ("File", "Directory"):
            yield given, placed
        for key in given.keys() & placed.keys():
            yield from pairs(given[key], placed[key])


def compare(given: Any, placed: Any, out: Path) -> None:
    for before, after in pairs(given, placed):
        path = local_path(after)
        assert path is not None
        assert path.is_relative_to(out)
        assert path.name == after["basename"]
        source = local_path(before)
        if before["class"] == "File":
            assert path.is_file()
            text = before["contents"] if before["location"].startswith("_:") else (source or path).read_text()
            assert path.read_text() == text
            assert after["size"] == len(text.encode())
        else:
            assert path.is_dir()
            listed = {entry["basename"]: entry for entry in after["listing"]}
            assert set(listed) <= {entry.name for entry in path.iterdir()}
            for entry in source.iterdir() if source else ():
                assert (path / entry.name).is_dir() == entry.is_dir()
                if entry.is_file():
                    assert (path / entry.name).read_bytes() == entry.read_bytes()
        for entry in after.get("secondaryFiles", ()):
            assert Path(str(local_path(entry))).parent == path.parent


def names(result: Any) -> Any:
    """Return the names of an output object in its form."""
    if isinstance(result, list):
        return [names(item) for item in result]
    if result.get("class") in ("File", "Directory"):
        return result["basename"]
    return {key: names(value) for key, value in result.items()}


def listed(folder: Object, *files: str) -> Object:
    location = folder["location"]
    return folder | {
        "listing": [{"class": "File", "location": f"{location}/{name}", "basename": name} for name in files]
    }
