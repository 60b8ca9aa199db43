"""The page that fetches workflows from registries and addresses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.web import web

from cwl_ui_plugin.library.origins import Origin
from cwl_ui_plugin.library.store import WorkflowStore
from cwl_ui_plugin.services.workflows import uploads

PAGE = "/cwl/imports"
Browser = Callable[..., Any]
TOOL = b"""cwlVersion: v1.2
class: CommandLineTool
baseCommand: echo
inputs: {text: {type: string, inputBinding: {}}}
outputs: {said: {type: stdout}}
stdout: said.txt
"""


def test_the_page_says_which_option_allows_hosts(browser: Browser) -> None:
    text = browser("admin").get(PAGE).text
    assert "This site fetches nothing from the network." in text
    assert "[cwl] fetch_hosts" in text
    assert "<form" not in text.partition("<main")[2].partition("</main>")[0]
    assert browser("viewer").get(PAGE).status_code == 403


def test_a_workflow_is_fetched_and_its_page_says_from_where(
    browser: Browser, csrf: Callable[[Any], str], store: WorkflowStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = browser("admin")
    with web() as site:
        monkeypatch.setenv("AIRFLOW__CWL__FETCH_HOSTS", site.host)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        url = site.put("/page-say.cwl", TOOL)
        assert site.host in client.get(PAGE).text
        data = {"csrf_token": csrf(client), "url": url}
        assert client.post(PAGE, data={"url": url}).status_code == 400
        assert client.post(PAGE, data={**data, "url": ""}).status_code == 400
        refused = client.post(PAGE, data={**data, "url": "http://169.254.169.254/x.cwl"})
        assert (refused.status_code, "does not fetch anything from 169.254.169.254" in refused.text) == (403, True)
        assert site.asked == []
        answer = client.post(PAGE, data=data)
        assert answer.status_code == 302
        uploads.wait_upload(answer.headers["location"].rpartition("/")[2])
    assert store.current("page-say").origin == Origin("http", url)
    assert f"<code>{url}</code>" in client.get("/cwl/workflows/page-say").text
