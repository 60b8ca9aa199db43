"""Jobs that name files which are none of the user's, or say what no job may say."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
from support.cast import API, HIDDEN, RUN, SHOWN, Site

Job = dict[str, Any]


def at(location: Any, **more: Any) -> Job:
    return {"file": {"class": "File", "location": location, **more}}


def folder_at(location: Any) -> Job:
    return {"folder": {"class": "Directory", "location": location}}


def literal(**more: Any) -> Job:
    return {"class": "File", "contents": "evil", **more}


def locations(site: Site) -> dict[str, Job]:
    """Jobs that name files which are none of the user's."""
    home = site.server.home
    outside = (
        *("/etc/passwd", "file:///etc/passwd", "file://localhost/etc/passwd", "file://evil.example.org/etc/passwd"),
        *("file:/etc/passwd", "FILE:///etc/passwd", "file:////etc/passwd", "file:///etc/%2e%2e/etc/passwd"),
        *("file:///%65tc/passwd", "../../../../../../../../../etc/passwd", "uploads/../../../../../etc/passwd"),
        *("%2e%2e/" * 8 + "etc/passwd", "/proc/self/environ", "/proc/1/environ"),
        *("/proc/self/root/etc/passwd", "/proc/self/cwd/setup.cfg", "/proc/self/fd/0", "/dev/stdin", "/dev/zero"),
        *("http://127.0.0.1:9/x", "https://127.0.0.1:9/x", "ftp://127.0.0.1/x", "s3://bucket/x", "data:,x"),
        *("javascript:alert(1)", "//127.0.0.1/x", "\\\\127.0.0.1\\x", "~/x", "$HOME/x", "|id", "x\x00y", "", " "),
        *(str(home / name) for name in ("secrets.json", "passwords.json", "airflow.db", "airflow.cfg")),
        *(str(home / "cwl" / name) for name in ("workflows", "tmp", f"workflows/{HIDDEN}", "tmp/.control", "reuse")),
        *(1, None, ["/etc/passwd"], {"location": "/etc/passwd"}, True),
    )  # fmt: skip
    whole = (
        *(
            "/",
            "/etc",
            "/proc",
            "/tmp",
            "uploads",
            "uploads/",
            "./uploads",
            ".",
            "..",
            "",
            "uploads/.parts",
            "x/../uploads",
        ),
        *(str(home), str(home / "cwl"), str(home / "cwl/inputs"), str(home / "cwl/outputs"), str(home / "logs")),
        *(f"file://{home}/cwl/inputs/uploads", f"file://{home}/cwl/inputs", "http://127.0.0.1:9/"),
    )
    passwd = {"class": "File", "location": "/etc/passwd"}
    folder = {"class": "Directory", "location": "/etc"}
    inner = literal(basename="y", secondaryFiles=[passwd])
    within = {"class": "Directory", "basename": "e", "listing": [passwd]}
    nested = {
        "path": {"file": {"class": "File", "path": "/etc/passwd"}},
        "path beside a literal": {"file": literal(path="/etc/passwd")},
        "location beside a literal": {"file": literal(location="/etc/passwd")},
        "a secondary file": {"file": literal(basename="x", secondaryFiles=[passwd])},
        "a secondary file of one": {"file": literal(basename="x", secondaryFiles=[inner])},
        "a secondary folder": {"file": literal(basename="x", secondaryFiles=[folder])},
        "a listing": {"folder": {"class": "Directory", "basename": "d", "listing": [passwd]}},
        "a listing in one": {
            "folder": {"class": "Directory", "basename": "d", "listing": [within]}
        },
        "one of many": {"more": [literal(basename="x"), passwd]},
        "a file for a folder": {"folder": passwd},
        "a folder for a file": {"file": {"class": "Directory", "location": "/etc"}},
        "another class": {"file": {"class": "Directory", "path": "/etc", "listing": []}},
    }  # fmt: skip
    named = {f"file {location!r}": at(location) for location in outside}
    named |= {f"folder {location!r}": folder_at(location) for location in whole}
    return named | {f"file in {name}": job for name, job in nested.items()}


NAMES = ("../x", "/tmp/x", "a/b", "..", ".", "", "x\x00", "../../../../../../tmp/evil-basename", "a/", "/")


def names(_site: Site) -> dict[str, Job]:
    """Jobs with names that lead out of the folder that a file is staged into."""
    found: dict[str, Job] = {}
    for name in NAMES:
        found[f"basename {name!r}"] = {"file": literal(basename=name)}
        found[f"basename {name!r} of many"] = {"more": [literal(basename=name)]}
        found[f"basename {name!r} of a folder"] = {"folder": {"class": "Directory", "basename": name, "listing": []}}
        found[f"basename {name!r} in a folder"] = {
            "folder": {"class": "Directory", "basename": "d", "listing": [literal(basename=name)]}
        }
        found[f"basename {name!r} beside a file"] = {
            "file": literal(basename="x", secondaryFiles=[literal(basename=name)])
        }
    for value in (1, [], {}, True):
        found[f"basename {value!r}"] = {"file": literal(basename=value)}
    return found


def folders(site: Site) -> dict[str, Job]:
    """Jobs that have their outputs or intermediate files written where they do not belong."""
    cwl = site.server.home / "cwl"
    targets = (
        *("/tmp/evil-out", "/", "..", "../..", f"../{HIDDEN}", f"../{HIDDEN}/{RUN}", "x/../../y", "a/../../../b"),
        *(str(cwl), str(cwl / "outputs"), str(cwl / "outputs" / HIDDEN), str(cwl / "outputs" / HIDDEN / "new")),
        *(str(cwl / name) for name in ("workflows", "workflows/x", "tmp", "tmp/x", "inputs", "reuse/x")),
        str(cwl / "tmp" / ".control"),
        *(str(site.server.home / name) for name in ("dags", "plugins", "logs/x")),
        *("/proc/self/cwd", "x\x00y", 5, ["x"], {"a": 1}, True),
    )  # fmt: skip
    return {
        f"{name} {target!r}": {name: target}
        for name in ("output_folder", "outputs_folder", "tmp_folder")
        for target in targets
    }


def requirements(_site: Site) -> dict[str, Job]:
    """Jobs that bring more than values of inputs."""
    javascript = {"class": "InlineJavascriptRequirement"}
    process = "this.constructor.constructor('return process')()"
    command = "require('child_process').execSync('touch /tmp/evil-js')"
    escape = f"${{return {process}.mainModule.{command} + ''}}"
    variables = {"class": "EnvVarRequirement", "envDef": {"A": escape}}
    staged = {"class": "InitialWorkDirRequirement", "listing": [{"class": "File", "location": "file:///etc/shadow"}]}
    brought: list[Any] = [
        [javascript, variables],
        [staged],
        [{"class": "DockerRequirement", "dockerPull": "evil"}],
        [{"class": "ShellCommandRequirement"}],
        [{"class": "NetworkAccess", "networkAccess": True}],
        [],
        {},
        "x",
    ]
    overrides = {"#main": {"requirements": {"EnvVarRequirement": {"envDef": {"A": "b"}}}}}
    keys = ("cwl:requirements", "https://w3id.org/cwl/cwl#requirements")
    found: dict[str, Job] = {f"{key} {value!r}"[:80]: {key: value} for key in keys for value in brought}
    found |= {name: {name: overrides} for name in ("cwltool:overrides", "http://commonwl.org/cwltool#overrides")}
    others = (
        "$import",
        "$include",
        "$graph",
        "$mixin",
        "a:b",
        "http://127.0.0.1:9/x",
        "#x",
        "x#y",
        "file:///etc/passwd",
    )
    return found | {f"key {name}": {name: "/etc/passwd"} for name in others}


def values(_site: Site) -> dict[str, Job]:
    """Jobs with values of wrong types or shapes."""
    deep: Any = "x"
    for _ in range(99):
        deep = [deep]
    return {
        "deep": {"text": deep},
        "an object for a text": {"text": {"$include": "/etc/passwd"}},
        "an import for a text": {"text": {"$import": "/etc/passwd"}},
        "a list for a text": {"text": ["x"]},
        "a number for a text": {"text": 1},
        "a null character": {"text": "a\x00b"},
        "half a pair": {"text": "\ud800"},
        "too large a number": {"number": 2**63},
        "a fraction": {"number": 1.5},
        "a text for a number": {"number": "1"},
        "true for a number": {"number": True},
        "a file that is a text": {"file": "/etc/passwd"},
        "a file without a class": {"file": {"location": "/etc/passwd"}},
        "a file of another class": {"file": {"class": "__proto__", "location": "/etc/passwd"}},
    }


TABLES: tuple[Callable[[Site], dict[str, Job]], ...] = (locations, names, folders, requirements, values)


def by_rest(site: Site, client: httpx.Client, job: Job, run_id: str) -> httpx.Response:
    body = json.dumps({"run_id": run_id, "job": job})
    return client.post(f"{API}/workflows/{SHOWN}/runs", content=body, headers={"Content-Type": "application/json"})
