"""What users write to name a workflow elsewhere."""

from __future__ import annotations

import pytest

from cwl_ui_plugin.services.errors import BadRequest
from cwl_ui_plugin.services.importing.addresses import GitSource, Source, TrsSource, WebSource, source_of

DOCKSTORE = "https://dockstore.org/api/ga4gh/trs/v2"
HUB = "https://workflowhub.eu/ga4gh/trs/v2"
BWA = "#workflow/github.com/org/repo/bwa"


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("trs://example.org/count/1.0", TrsSource("https://example.org/ga4gh/trs/v2", "count", "1.0")),
        ("trs://example.org/count", TrsSource("https://example.org/ga4gh/trs/v2", "count", None)),
        ("trs://example.org:8443/a%2Fb/v%2F1", TrsSource("https://example.org:8443/ga4gh/trs/v2", "a/b", "v/1")),
        ("trs://127.0.0.1:8000/count/1", TrsSource("http://127.0.0.1:8000/ga4gh/trs/v2", "count", "1")),
        ("trs://dockstore.org/%23workflow%2Fgithub.com%2Forg%2Frepo%2Fbwa/1.0", TrsSource(DOCKSTORE, BWA, "1.0")),
        (f"trs://dockstore.org/{BWA}:1.0", TrsSource(DOCKSTORE, BWA, "1.0")),
        (f"{BWA}:1.0", TrsSource(DOCKSTORE, BWA, "1.0")),
        ("https://dockstore.org/workflows/github.com/org/repo/bwa:1.0", TrsSource(DOCKSTORE, BWA, "1.0")),
        (
            "https://dockstore.org/api/ga4gh/trs/v2/tools/%23workflow%2Fgithub.com%2Forg%2Frepo%2Fbwa/versions/1.0",
            TrsSource(DOCKSTORE, BWA, "1.0"),
        ),
        ("https://workflowhub.eu/workflows/138?version=2", TrsSource(HUB, "138", "2")),
        ("https://workflowhub.eu/workflows/138", TrsSource(HUB, "138", None)),
        (
            "https://workflowhub.eu/ga4gh/trs/v2/tools/138/versions/2/PLAIN_CWL/descriptor/main.cwl",
            TrsSource(HUB, "138", "2"),
        ),
        ("https://example.org/x/tools/a/versions/1/CWL/files", TrsSource("https://example.org/x", "a", "1")),
        ("https://example.org/tools/repo.git", GitSource("https://example.org/tools/repo.git", None, None)),
        ("https://example.org/r/tools/sort.cwl", WebSource("https://example.org/r/tools/sort.cwl", None)),
        ("https://example.org/tools/w.ZIP?raw=1", WebSource("https://example.org/tools/w.ZIP?raw=1", None)),
        ("https://example.org/x/tools/a.cwl/versions/1", TrsSource("https://example.org/x", "a.cwl", "1")),
        ("https://example.org/repo.git", GitSource("https://example.org/repo.git", None, None)),
        ("git+https://example.org/repo", GitSource("https://example.org/repo", None, None)),
        ("https://example.org/w.zip", WebSource("https://example.org/w.zip", None)),
        ("https://example.org/w.cwl#main", WebSource("https://example.org/w.cwl#main", "main")),
    ],
)
def test_addresses_are_understood(address: str, expected: Source) -> None:
    assert source_of(f" {address} ") == expected


def test_what_stands_beside_an_address_counts() -> None:
    assert source_of("https://example.org/repo", ref="v1", path="a.cwl") == GitSource(
        "https://example.org/repo", "v1", "a.cwl"
    )
    assert source_of("https://example.org/w.zip", path="a.cwl") == WebSource("https://example.org/w.zip", "a.cwl")
    assert source_of("trs://example.org/count", ref="2") == TrsSource("https://example.org/ga4gh/trs/v2", "count", "2")


@pytest.mark.parametrize(
    "address",
    [
        "",
        "count",
        "/etc/passwd",
        "file:///etc/passwd",
        "ext::sh -c touch% /tmp/x",
        "git@example.org:org/repo.git",
        "ssh://example.org/repo.git",
        "git://example.org/repo.git",
        "trs://example.org",
        "trs://user@example.org/x",
        "trs://example.org/a/b/c",
        "http://[::1/x",
        "https://example.org/\n",
        "https://example.org/" + "x" * 2000,
    ],
)
def test_other_addresses_are_refused(address: str) -> None:
    with pytest.raises(BadRequest):
        source_of(address + "\x00" if address.endswith("\n") else address)
