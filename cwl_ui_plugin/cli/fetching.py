"""Bringing the outputs of a run from the server into a local folder."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from cwl_ui_plugin import addresses
from cwl_ui_plugin.cli.client import Client, path_of
from cwl_ui_plugin.cli.errors import ServerError

LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Fetcher:
    """Copies what an output object names to ``outdir``: over HTTP, or on the same machine directly."""

    def __init__(self, client: Client, dag_id: str, run_id: str, outdir: Path) -> None:
        self.client = client
        self.outdir = outdir
        self._run = f"/workflows{path_of(dag_id)}/runs{path_of(run_id)}"
        self._marker = f"/{quote(dag_id)}/{quote(run_id)}/"
        self._listed: list[str] | None = None
        self._is_local = urlsplit(client.url).hostname in LOOPBACK

    def fetch(self, outputs: Any) -> Any:
        """Return the output object with the locations of the copies."""
        if isinstance(outputs, list):
            return [self.fetch(item) for item in outputs]
        if not isinstance(outputs, dict):
            return outputs
        if outputs.get("class") == "File" and outputs.get("location"):
            return self._placed(outputs, self._fetch_file(outputs["location"]))
        if outputs.get("class") == "Directory" and outputs.get("location"):
            return self._placed(outputs, self._fetch_folder(outputs["location"]))
        return {key: self.fetch(value) for key, value in outputs.items()}

    def _placed(self, item: dict[str, Any], target: Path) -> dict[str, Any]:
        inner: dict[str, Any] = {key: self.fetch(item[key]) for key in ("secondaryFiles", "listing") if key in item}
        return {**item, **inner, "location": target.as_uri(), "path": str(target)}

    def _fetch_file(self, location: str) -> Path:
        name, target = self._target(location)
        if target.exists():
            return target
        local = Path(unquote(urlsplit(location).path))
        if self._is_local and local.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(local, target)
            shutil.copymode(local, target)
        else:
            self.client.download(f"{self._run}/files{path_of(*name.split('/'))}", target)
        return target

    def _fetch_folder(self, location: str) -> Path:
        name, target = self._target(location)
        target.mkdir(parents=True, exist_ok=True)
        local = Path(unquote(urlsplit(location).path))
        if self._is_local and local.is_dir():
            shutil.copytree(local, target, dirs_exist_ok=True)
            return target
        base = location.rstrip("/")[: -len(quote(name))]
        for path in self._paths():
            if path.startswith(f"{name}/"):
                self._fetch_file(base + quote(path))
        return target

    def _paths(self) -> list[str]:
        """Return the paths of all output files, asked for once; raise :class:`ServerError` if one is not listed."""
        if self._listed is None:
            listed: list[str] = []
            total: int | None = None
            while total is None or len(listed) < total:
                answer = self.client.request(
                    "GET", f"{addresses.REST}{self._run}/files", params={"offset": str(len(listed))}
                )
                part = [str(file["path"]) for file in answer.json()]
                total = answer.total if answer.total is not None else len(part)
                listed += part
                if len(set(listed)) < len(listed) or (not part and len(listed) < total):
                    raise ServerError(f"The server lists {len(set(listed))} of the {total} output files; try again.")
            self._listed = listed
        return self._listed

    def _target(self, location: str) -> tuple[str, Path]:
        """Return the name of an output within the run's folder, and where its copy goes."""
        _before, marker, rest = location.partition(self._marker)
        name = unquote(rest).strip("/")
        target = (self.outdir / name).absolute()
        if not marker or not name or ".." in Path(name).parts:
            raise ServerError(f"The server names an output outside of the run's folder: {location}")
        return name, target
