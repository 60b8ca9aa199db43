"""``make release``: what it refuses, and that it builds, checks and uses the files of a version."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RELEASE = ROOT / "tools" / "release.py"
KINDS = ("Security", "Added", "Changed", "Deprecated", "Removed", "Fixed")
VERSION_FILE = "cwl_ui_plugin/version.py"


def _git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=tester", "-c", "user.email=tester@example.org", "-c", "commit.gpgsign=false"]
    return subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout of its own whose changelog has an entry for 9.8.7."""
    folder = tmp_path / "checkout"
    for name in _git(ROOT, "ls-files", "-co", "--exclude-standard").splitlines():
        if not name.startswith(("tests/", "bench/", "docs/")) and (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    changelog = (folder / "CHANGELOG.md").read_text()
    entry = "## [Unreleased]\n\n## [9.8.7] - 2026-12-24\n"
    (folder / "CHANGELOG.md").write_text(changelog.replace("## [Unreleased]\n", entry, 1))
    _git(folder, "init", "--quiet")
    _git(folder, "add", "--all")
    _git(folder, "commit", "--quiet", "--message", "All")
    return folder


def _release(checkout: Path, version: str = "9.8.7") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(RELEASE), version, "--root", str(checkout), "--without-dependencies"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _assert_refused(checkout: Path, version: str, message: str) -> None:
    before = (checkout / VERSION_FILE).read_text()
    result = _release(checkout, version)
    assert result.returncode == 1
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert (checkout / VERSION_FILE).read_text() == before
    assert not (checkout / "dist").exists()


@pytest.mark.packaging
def test_it_sets_the_version_builds_checks_and_uses_the_files(checkout: Path) -> None:
    leftover = checkout / "build" / "lib" / "cwl_ui_plugin" / "leftover.py"  # of an earlier build; git ignores it
    leftover.parent.mkdir(parents=True)
    leftover.write_text("")

    result = _release(checkout)

    assert result.returncode == 0, result.stderr
    assert '__version__ = "9.8.7"' in (checkout / VERSION_FILE).read_text()
    built = {path.name for path in (checkout / "dist").iterdir()}
    made = {"cwl_ui_plugin-9.8.7", "cwl_ui_client-9.8.7", "cwl_ui_plugin_legacy-9.8.7"}
    assert built == {f"{name}{end}" for name in made for end in (".tar.gz", "-py3-none-any.whl")}
    assert "cwl-ui-plugin --version" in result.stdout


@pytest.mark.packaging
def test_a_package_that_is_not_declared_ends_it_and_the_version_is_the_old_one(checkout: Path) -> None:
    setup = checkout / "setup.cfg"
    setup.write_text(setup.read_text().replace("    cwl_ui_plugin.signing\n", ""))
    _git(checkout, "commit", "--quiet", "--all", "--message", "Forget a package")
    # setuptools takes a folder that is there for a namespace package, but warns; its files are what is missed.
    _assert_refused(checkout, "9.8.7", "signing")


def test_what_is_no_version_is_refused(checkout: Path) -> None:
    _assert_refused(checkout, "9.8", "'9.8' is no version")


def test_a_version_without_an_entry_in_the_changelog_is_refused(checkout: Path) -> None:
    _assert_refused(checkout, "9.9.9", "has no section '## [9.9.9] - YYYY-MM-DD'")


def test_an_empty_entry_in_the_changelog_is_refused(checkout: Path) -> None:
    changelog = checkout / "CHANGELOG.md"
    changelog.write_text(changelog.read_text().replace("## [9.8.7]", "## [9.9.0] - 2026-12-31\n\n## [9.8.7]"))
    _assert_refused(checkout, "9.9.0", "is empty")


def test_what_is_not_committed_is_refused(checkout: Path) -> None:
    (checkout / "cwl_ui_plugin" / "new.py").write_text("")
    _assert_refused(checkout, "9.8.7", "cwl_ui_plugin/new.py")


def test_the_changelog_keeps_its_form() -> None:
    """As https://keepachangelog.com/en/1.1.0/ has it: what is not released first, dated versions, known kinds."""
    text = (ROOT / "CHANGELOG.md").read_text()
    sections = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    titles = [section.partition("\n")[0] for section in sections]
    assert titles[0] == "[Unreleased]"
    assert [title for title in titles[1:] if not re.fullmatch(r"\[\d+\.\d+\.\d+\S*\] - \d{4}-\d\d-\d\d", title)] == []
    for section in sections:
        kinds = re.findall(r"^### (.*)$", section, re.MULTILINE)
        assert kinds == [kind for kind in KINDS if kind in kinds], f"{section.partition(chr(10))[0]}: {kinds}"
        lists = re.split(r"^### .*$", section, flags=re.MULTILINE)
        assert lists[0].partition("\n")[2].strip() == "", "lines of no kind"
        assert [kind for kind, lines in zip(kinds, lists[1:], strict=True) if not re.search(r"^\* ", lines, re.M)] == []
