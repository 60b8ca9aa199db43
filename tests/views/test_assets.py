"""Scripts and styles are kept by browsers until one of them changes, and asked for all at once."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from cwl_ui_plugin.views import assets


def test_a_page_names_all_modules_that_it_will_need(browser: Callable[..., Any], workflow: str, run_id: str) -> None:
    client = browser("admin")
    for path in ("/cwl/workflows", f"/cwl/workflows/{workflow}", f"/cwl/workflows/{workflow}/run", "/cwl/settings"):
        text = client.get(path).text
        loaded = re.findall(r'<link rel="modulepreload" href="([^"]+)"', text)
        started = re.findall(r'<script type="module" src="([^"]+)"', text)
        assert set(started) < set(loaded)
        for address in loaded:
            script = client.get(address)
            assert script.status_code == 200
            assert script.content_type.startswith("text/javascript")
            for imported in re.findall(r'^import[^"]*"\./([^"]+)"', script.text, re.MULTILINE):
                assert f"{address.rpartition('/')[0]}/{imported}" in loaded, (path, imported)


def test_browsers_keep_them_until_one_changes(browser: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    client = browser()
    version = assets.assets_version()
    kept = client.get(f"/cwl/static/v/{version}/page.js").headers["Cache-Control"]
    assert {"public", "immutable", f"max-age={assets.KEPT_SECONDS}"} == set(kept.split(", "))
    for path in ("/cwl/static/v/another/page.js", "/cwl/static/page.js"):
        answer = client.get(path)
        assert answer.status_code == 200
        assert "immutable" not in answer.headers["Cache-Control"]
    assert client.get(f"/cwl/static/v/{version}/../../../setup.cfg").status_code == 404
    assert client.get(f"/cwl/static/v/{version}/%2e%2e/views/base.py").status_code == 404


def test_the_version_is_of_all_their_contents(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.js").write_text("one")
    monkeypatch.setattr(assets, "_folder", lambda: tmp_path)
    versions = []
    for content in ("one", "two"):
        (tmp_path / "a.js").write_text(content)
        assets.assets_version.cache_clear()
        versions.append(assets.assets_version())
    assets.assets_version.cache_clear()
    assert versions[0] != versions[1]
    assert all(re.fullmatch("[0-9a-f]{16}", version) for version in versions)


def test_modules_that_import_each_other_are_named_once(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.js").write_text('import { b } from "./b.js";\nimport {\n  c,\n} from "./c.js";\n')
    (tmp_path / "b.js").write_text('import "./c.js";\nimport { a } from "./a.js";\n')
    (tmp_path / "c.js").write_text('export const c = "./d.js";\n')
    monkeypatch.setattr(assets, "_folder", lambda: tmp_path)
    assets._imports.cache_clear()
    found = assets.modules("a.js", "c.js")
    assets._imports.cache_clear()
    assert sorted(found) == ["a.js", "b.js", "c.js"]
    assert found.index("c.js") < found.index("a.js")
