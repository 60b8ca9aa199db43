"""Validate a crate, without the network: run by a Python that has roc-validator and runcrate, given the
folder of a crate and a file for the answer.

That has, as JSON, what the validator finds against each profile, and what ``runcrate report`` reads. The contexts that
a crate names are on the web; of RO-Crate the library has one, and the terms of Workflow Run Crate are a namespace.
"""

from __future__ import annotations

import io
import json
import sys
from importlib import resources
from pathlib import Path
from typing import Any, ClassVar

from rocrate_validator import services
from rocrate_validator.models import Severity, ValidationSettings
from rocrate_validator.utils import document_loader, http
from runcrate.report import dump_crate_actions

PROFILES = ("workflow-ro-crate-1.0", "process-run-crate-0.5", "workflow-run-crate-0.5", "provenance-run-crate-0.5")
TERMS = "https://w3id.org/ro/terms/workflow-run"
NAMES = (
    "ContainerImage DockerImage SIFImage ParameterConnection containerImage connection environment md5 registry sha1 "
    "sha256 sha512 sourceParameter tag targetParameter"
)


BIOSCHEMAS = "https://bioschemas.org/"
OF_1_1 = {
    "ComputationalWorkflow": f"{BIOSCHEMAS}ComputationalWorkflow",
    "FormalParameter": f"{BIOSCHEMAS}FormalParameter",
    "input": f"{BIOSCHEMAS}ComputationalWorkflow#input",
    "output": f"{BIOSCHEMAS}ComputationalWorkflow#output",
}
"""What the library's context, of a later RO-Crate, calls otherwise."""


def context(url: str) -> Any:
    if url.startswith(TERMS):
        return {"@context": {name: f"{TERMS}#{name}" for name in NAMES.split()}}
    known = json.loads(resources.files("rocrate").joinpath("data/ro-crate.jsonld").read_text())
    return {**known, "@context": {**known["@context"], **OF_1_1}}


class Answer:
    status_code = 200
    headers: ClassVar = {"Content-Type": "application/ld+json"}

    def __init__(self, url: str) -> None:
        self.url = url

    def json(self) -> Any:
        return context(self.url)


def found(crate: str, profile: str) -> list[str]:
    settings = ValidationSettings(
        rocrate_uri=crate, profile_identifier=profile, requirement_severity=Severity.RECOMMENDED, offline=True
    )
    issues = services.validate(settings).get_issues()
    return [
        f"{issue.severity.name}: {issue.check.identifier}: {issue.message} ({issue.violatingEntity})"
        for issue in issues
    ]


def main(crate: str, answer: str) -> None:
    document_loader._fetch_json_ld = context
    http.HttpRequester.get = lambda _self, url, *_args, **_more: Answer(str(url))
    report = io.StringIO()
    dump_crate_actions(crate, report)
    issues = {name: found(crate, name) for name in PROFILES}
    Path(answer).write_text(json.dumps({"issues": issues, "report": report.getvalue()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
