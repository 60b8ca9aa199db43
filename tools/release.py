"""Make a release: set the version, build, check what was built, and use it as a user would. Nothing is uploaded.

    python tools/release.py 1.2.3

Each distribution of the repository has its version in one place (:data:`DISTRIBUTIONS`), and all have the same one;
where anything is wrong, they get back their old one.
"""

from __future__ import annotations

import argparse
import configparser
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NUMBER = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)((a|b|rc)\d+)?")
_ASSIGNMENT = re.compile(r'^__version__ = "([^"]*)"$', re.MULTILINE)
USE_IN_AIRFLOW = "import cwl_ui_plugin.plugin, cwl_ui_plugin; print(cwl_ui_plugin.__version__)"


@dataclass(frozen=True)
class Distribution:
    """What one folder of the repository is built into; ``package`` is its import name."""

    folder: str
    package: str
    version_file: str

    @property
    def use(self) -> str:
        """A program that prints the version of the package that is installed."""
        return f"import {self.package}; print({self.package}.__version__)"


PLUGIN = Distribution(".", "cwl_ui_plugin", "cwl_ui_plugin/version.py")
LEGACY = Distribution("legacy", "cwl_ui_plugin_legacy", "legacy/cwl_ui_plugin_legacy/version.py")
DISTRIBUTIONS = (PLUGIN, Distribution("client", "cwl_ui_client", "client/src/cwl_ui_client/version.py"), LEGACY)
CHANGED_BY_A_RELEASE = {*(item.version_file for item in DISTRIBUTIONS), "CHANGELOG.md"}


class ReleaseError(Exception):
    """Why there is no release, and what to do."""


def main(words: list[str] | None = None) -> int:
    """Make a release; return 0 if everything holds."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("version", help="such as 1.2.3, or 1.2.3rc1")
    parser.add_argument("--root", type=Path, default=ROOT, help="the checkout")
    parser.add_argument("--without-dependencies", action="store_true", help="try the wheel alone (quick)")
    arguments = parser.parse_args(words)
    try:
        built = release(arguments.root, arguments.version, dependencies=not arguments.without_dependencies)
    except ReleaseError as error:
        print(f"No release: {error}", file=sys.stderr)
        return 1
    print(f"\n{' and '.join(path.name for path in built)} are in {built[0].parent}. What is left to do:")
    print(f'    git commit -am "Release {arguments.version}" && git tag -a {arguments.version} -m {arguments.version}')
    print("and to give the files to those who are to install them.")
    return 0


def release(root: Path, version: str, *, dependencies: bool) -> tuple[Path, ...]:
    """Build and try a version; return its sdist and its wheel.

    Raises:
        ReleaseError: something is missing or wrong; the version is the old one again.

    """
    check_version(version)
    check_changelog((root / "CHANGELOG.md").read_text(encoding="utf-8"), version)
    files = tracked_files(root)
    before = set_version(root, version)
    try:
        with tempfile.TemporaryDirectory(prefix="cwl-ui-plugin-release-") as folder:
            constraints = root / "constraints.txt" if dependencies else None
            built = [
                made for item in DISTRIBUTIONS for made in _made(item, root, files, version, Path(folder), constraints)
            ]
            return _keep(root / "dist", *built)
    except BaseException:
        for path, text in before.items():
            path.write_text(text, encoding="utf-8")
        raise


def _made(
    item: Distribution, root: Path, files: list[str], version: str, folder: Path, constraints: Path | None
) -> tuple[Path, Path]:
    """Build, check and try one distribution; return its sdist and its wheel."""
    place = folder / item.package
    sdist, wheel = build(item, root, files, version, place)
    check_wheel(item, wheel, files, root)
    _step("twine check", [sys.executable, "-m", "twine", "check", "--strict", str(sdist), str(wheel)])
    try_wheel(item, wheel, version, place / "env", constraints)
    return sdist, wheel


def check_version(version: str) -> None:
    """Refuse what is no version."""
    if not NUMBER.fullmatch(version):
        raise ReleaseError(f"{version!r} is no version such as 1.2.3 or 1.2.3rc1 (make release VERSION=1.2.3).")


def check_changelog(text: str, version: str) -> None:
    """Refuse a version that the changelog has no entry for: a dated section with at least one line."""
    heading = re.search(rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d$", text, re.MULTILINE)
    if heading is None:
        raise ReleaseError(
            f"CHANGELOG.md has no section '## [{version}] - YYYY-MM-DD'. Name the section [Unreleased] so, and put an "
            "empty one above it."
        )
    section = re.split(r"^## ", text[heading.end() :], maxsplit=1, flags=re.MULTILINE)[0]
    if not re.search(r"^\* ", section, re.MULTILINE):
        raise ReleaseError(f"The section of {version} in CHANGELOG.md is empty: say what users notice.")


def tracked_files(root: Path) -> list[str]:
    """Return the files of the checkout; what is not committed is refused, since nobody could build it again."""
    status = _output(["git", "status", "--porcelain", "-z"], root).split("\0")
    changed = {entry[3:] for entry in status if entry} - CHANGED_BY_A_RELEASE
    if changed:
        raise ReleaseError(f"These are not committed: {', '.join(sorted(changed))}.")
    return _output(["git", "ls-files", "-z"], root).rstrip("\0").split("\0")


def set_version(root: Path, version: str) -> dict[Path, str]:
    """Write the version where it stands; return the texts of these files from before."""
    before = {
        root / item.version_file: (root / item.version_file).read_text(encoding="utf-8") for item in DISTRIBUTIONS
    }
    after = {path: _ASSIGNMENT.subn(f'__version__ = "{version}"', text) for path, text in before.items()}
    for path, (_text, count) in after.items():
        if count != 1:
            raise ReleaseError(f'{path.relative_to(root)} has no line __version__ = "...".')
    for path, (text, _count) in after.items():
        path.write_text(text, encoding="utf-8")
    return before


def build(item: Distribution, root: Path, files: list[str], version: str, folder: Path) -> tuple[Path, Path]:
    """Build sdist and wheel of the tracked files alone: leftovers of earlier builds would get into them."""
    source = folder / "source"
    for name in files:
        copy = source / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes((root / name).read_bytes())
    built = folder / "built"
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(built), str(source / item.folder)]
    _step(f"build {item.package}", command)
    sdist, wheel = (built / f"{item.package}-{version}{end}" for end in (".tar.gz", "-py3-none-any.whl"))
    for path in (sdist, wheel):
        if not path.is_file():
            raise ReleaseError(
                f"The build made no {path.name}, but {', '.join(found.name for found in built.iterdir())}."
            )
    return sdist, wheel


def check_wheel(item: Distribution, wheel: Path, files: list[str], root: Path) -> None:
    """Refuse a wheel that lacks a file of the package, or has one that is not of it."""
    expected = {
        package.replace(".", "/") + name[len(folder) :]
        for package, folder in _folders(item, root)
        for name in files
        if name.startswith(f"{folder}/")
    }
    names = zipfile.ZipFile(wheel).namelist()
    info = f"{item.package}-{wheel.name.split('-')[1]}.dist-info/"
    packed = {name for name in names if not name.startswith(info)}
    # What is written for readers of the repository may be left out; nothing else.
    missing = {name for name in expected - packed if not name.endswith(".md")}
    strange = packed - expected
    if missing or strange:
        parts = [
            f"{what}: {', '.join(sorted(found))}"
            for what, found in (("missing", missing), ("not ours", strange))
            if found
        ]
        raise ReleaseError(
            f"The contents of the wheel are wrong ({'; '.join(parts)}): see packages and package_data in setup.cfg."
        )
    needed = ["METADATA", "licenses/LICENSE"] + (["entry_points.txt"] if item is PLUGIN else [])
    for name in needed:
        if info + name not in names:
            raise ReleaseError(f"The wheel has no {name}.")


def _folders(item: Distribution, root: Path) -> Iterator[tuple[str, str]]:
    """Yield each package of a distribution that has a place of its own, with its folder in the repository."""
    config = configparser.ConfigParser()
    config.read(root / item.folder / "setup.cfg")
    for line in config["options"]["package_dir"].strip().splitlines():
        package, folder = (part.strip() for part in line.split("="))
        place = f"{folder}/{item.package}" if not package else folder
        yield package or item.package, place if item is PLUGIN else f"{item.folder}/{place}"


def try_wheel(item: Distribution, wheel: Path, version: str, environment: Path, constraints: Path | None) -> None:
    """Install the wheel into a fresh environment (with its dependencies if there are constraints), and use it."""
    _step("a fresh environment", [sys.executable, "-m", "venv", str(environment)])
    python = str(environment / "bin" / "python")
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    # What needs the plugin of the same version finds it nowhere yet; its modules that Airflow loads are tested apart.
    is_alone = constraints is None or item is LEGACY
    how = ["--no-deps"] if is_alone else ["--constraint", str(constraints)]
    _step("install the wheel", [*install, *how, str(wheel)])
    if item is PLUGIN:
        _expect(f"cwl-ui-plugin {version}", [str(environment / "bin" / "cwl-ui-plugin"), "--version"], environment)
    uses_airflow = item is PLUGIN and constraints is not None
    _expect(version, [python, "-c", USE_IN_AIRFLOW if uses_airflow else item.use], environment)


def _expect(answer: str, command: list[str], folder: Path) -> None:
    print(f"-- {' '.join(command)}", flush=True)
    lines = _output(command, folder).strip().splitlines()
    if not lines or lines[-1] != answer:
        raise ReleaseError(f"{' '.join(command)} answered {lines[-1:]}, not {answer!r}.")


def _keep(folder: Path, *built: Path) -> tuple[Path, ...]:
    folder.mkdir(exist_ok=True)
    return tuple(Path(shutil.copy(path, folder)) for path in built)


def _step(what: str, command: list[str]) -> None:
    print(f"-- {what}", flush=True)
    _output(command)


def _output(command: list[str], folder: Path | None = None) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    if folder is not None:
        environment["AIRFLOW_HOME"] = str(folder / "airflow")
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if result.returncode:
        raise ReleaseError(f"{' '.join(command)} failed:\n{(result.stdout + result.stderr)[-3000:]}")
    return result.stdout


if __name__ == "__main__":
    sys.exit(main())
