"""A crate on the page for uploads: it leads to the form of its workflow, filled in, or says what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.crates import crate


@pytest.fixture
def send(browser: Callable[..., Any], csrf: Callable[[Any], str]) -> Callable[..., tuple[Any, Any]]:
    """Send a crate as a script of the page does, or as a browser by itself; return who did, and the answer."""

    def sent(stream: Any, *, by_script: bool) -> tuple[Any, Any]:
        admin = browser("admin")
        headers = {"X-Requested-With": "XMLHttpRequest"} if by_script else {}
        data = {"csrf_token": csrf(admin), "files": (stream, "reading.crate.zip")}
        return admin, admin.post("/cwl/workflows", data=data, headers=headers)

    return sent


@pytest.mark.parametrize("by_script", [True, False])
def test_a_crate_leads_to_the_form_filled_in(send: Callable[..., tuple[Any, Any]], by_script: bool) -> None:
    admin, answer = send(crate(), by_script=by_script)
    assert answer.status_code == (200 if by_script else 302), answer.text
    place = answer.json["workflow"] if by_script else answer.location
    assert "/cwl/workflows/reading/run?job=" in place
    form = admin.get(place)
    assert (form.status_code, "reads.txt" in form.text) == (200, True)


@pytest.mark.parametrize("by_script", [True, False])
def test_what_is_wrong_with_a_crate_is_said(send: Callable[..., tuple[Any, Any]], by_script: bool) -> None:
    _admin, answer = send(crate(reads=b"TTTT"), by_script=by_script)
    assert (answer.status_code, "its sha1 is another one" in answer.text) == (422, True)
