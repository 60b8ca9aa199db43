"""Files of a git repository at a commit, by the program git, which is kept from everything else that it can do.

It gets no configuration, no credentials and no terminal, follows no redirect, runs no hook or filter, fetches no
submodule and no LFS, and connects to the addresses that were checked. Nothing is checked out: what it packs is read.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tarfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from tempfile import TemporaryFile
from typing import IO

from cwl_ui_plugin import config
from cwl_ui_plugin.fetching.connecting import Deadline, addresses_of
from cwl_ui_plugin.fetching.errors import Away, NotThere, OtherContent, TooMuch
from cwl_ui_plugin.fetching.fetch import check_address, proxy_of, shown
from cwl_ui_plugin.services.errors import Unavailable
from cwl_ui_plugin.services.importing.addresses import scheme_of
from cwl_ui_plugin.services.importing.budget import Budget
from cwl_ui_plugin.strict_json import is_text

GIT = "git"
OLDEST_GIT = (2, 38)
"""The first that takes the addresses of a host from us (http.curloptResolve)."""
_REF = re.compile(r"(?!-)[A-Za-z0-9_][A-Za-z0-9_./+-]{0,199}")
_VERSION = re.compile(r"git version (\d+)\.(\d+)")
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_SHOWN = 300
_READ = 64 * 1024
"""Bytes of what git says that are looked at."""
_BLOCK = 512
"""What ``ulimit -f`` counts in."""
_BOUNDED = ("sh", "-c", 'ulimit -f "$1"; shift; exec "$@"', "sh")
"""A program none of whose files grows larger than so many blocks."""
_TOO_LARGE = ("File too large", f"signal {int(signal.SIGXFSZ)}")
_CONFIG = (
    ("protocol.allow", "never"),
    ("protocol.https.allow", "always"),
    ("protocol.http.allow", "always"),
    ("http.followRedirects", "false"),
    ("http.lowSpeedLimit", "1"),
    ("http.lowSpeedTime", "60"),
    ("credential.helper", ""),
    ("core.hooksPath", os.devnull),
    ("core.symlinks", "false"),
    ("core.fsmonitor", "false"),
    ("submodule.recurse", "false"),
    ("fetch.recurseSubmodules", "false"),
    ("transfer.fsckObjects", "true"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
)


def fetch_tree(url: str, ref: str | None, folder: Path, budget: Budget) -> str:
    """Put the files of a repository into a folder; return the commit.

    Links, submodules, and names that are not UTF-8 are left out.

    Raises:
        FetchError: it is not there, or too large.
        Unavailable: this machine has no git that can do it.

    """
    if ref is not None and (not _REF.fullmatch(ref) or ".." in ref):
        raise OtherContent(f"{ref[:80]!r} is no tag, branch or commit.")
    address = check_address(url, budget.rules)
    if address.scheme != scheme_of(address.netloc.decode()):
        raise OtherContent(f"Repositories are fetched by https only, not from {shown(url)}.")
    _check_git()
    bare = folder.with_name(f"{folder.name}.git")
    git = _Git(bare, budget, [*_CONFIG, *_pinned(address.host, address.port, address.scheme, budget)])
    try:
        git.run("init", "--quiet", "--bare", str(bare))
        git.run(
            "-C", str(bare), "fetch", "--quiet", "--depth=1", "--no-tags", "--", str(address), ref or "HEAD", of=url
        )
        commit = git.run("-C", str(bare), "rev-parse", "--verify", "FETCH_HEAD^{commit}").strip()
        if not _COMMIT.fullmatch(commit):
            raise OtherContent(f"{shown(url)} has no commit {ref or 'HEAD'}.")
        git.unpack(commit, folder)
    finally:
        shutil.rmtree(bare, ignore_errors=True)
    return commit


class _Git:
    """Runs git within a budget."""

    def __init__(self, bare: Path, budget: Budget, settings: Sequence[tuple[str, str]]) -> None:
        self._bare = bare
        self._budget = budget
        self._options = [part for name, value in settings for part in ("-c", f"{name}={value}")]

    def run(self, *arguments: str, of: str = "") -> str:
        """Return what a call prints; raise what it says where it fails."""
        seconds = self._budget.seconds
        with TemporaryFile() as printed, TemporaryFile() as complaints:  # bounded as all its files: servers can go on
            process = self._started(arguments, printed, complaints)
            try:
                status = process.wait(seconds)
            except subprocess.TimeoutExpired:
                raise TooMuch(f"{shown(of)} did not come in time ([cwl] fetch_timeout).") from None
            finally:
                self._end(process)
            if status:
                is_full = complaints.seek(0, os.SEEK_END) >= self._budget.size
                raise self._failure(_beginning(complaints), -signal.SIGXFSZ if is_full else status, of)
            return _beginning(printed)

    def unpack(self, commit: str, folder: Path) -> None:
        """Write the regular files of a commit below a folder, within the bounds of an unpacked upload."""
        arguments = ("-C", str(self._bare), "archive", "--format=tar", commit)
        with self._started(arguments, subprocess.PIPE, subprocess.DEVNULL) as process:
            try:
                assert process.stdout is not None  # noqa: S101 - a pipe
                _extract(process.stdout, folder, self._budget)
            finally:
                self._end(process)

    def _started(
        self, arguments: Sequence[str], stdout: int | IO[bytes], stderr: int | IO[bytes]
    ) -> subprocess.Popen[bytes]:
        blocks = str(self._budget.size // _BLOCK + 1)
        return subprocess.Popen(
            [*_BOUNDED, blocks, GIT, *self._options, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            env=_environment(self._bare.parent),
            start_new_session=True,
        )

    def _failure(self, complaints: str, status: int, of: str) -> Exception:
        said = " ".join(complaints.split())[:_SHOWN]
        if (
            status == -signal.SIGXFSZ
            or "File too large" in complaints
            or "SIGXFSZ" in complaints
            or "signal 25" in said
        ):
            return TooMuch(f"{shown(of)} has more than {self._budget.size} bytes ([cwl] max_upload_size).")
        if "not found" in said or "couldn't find remote ref" in said or "not our ref" in said:
            return NotThere(f"{shown(of)} can't be fetched: {said}", 404)
        return Away(f"{shown(of)} can't be fetched: git says {said or f'nothing, and ends with {status}'}")

    @staticmethod
    def _end(process: subprocess.Popen[bytes]) -> None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _beginning(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read(_READ).decode("utf-8", "replace")


def _extract(stream: IO[bytes], folder: Path, budget: Budget) -> None:
    files, size = int(config.number("max_unpacked_files")), int(config.number("max_unpacked_size"))
    try:
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                budget.seconds  # noqa: B018 - says if the time is over
                path = PurePosixPath(member.name)
                if not member.isreg() or path.is_absolute() or ".." in path.parts or not is_text(member.name):
                    continue
                files, size = files - 1, size - member.size
                if files < 0:
                    raise TooMuch("The repository has too many files ([cwl] max_unpacked_files).")
                if size < 0:
                    raise TooMuch("The repository is too large ([cwl] max_unpacked_size).")
                _write(archive.extractfile(member), folder / path, executable=bool(member.mode & 0o100))
    except tarfile.TarError as error:
        raise OtherContent(f"The repository can't be read: {error}.") from error
    except OSError as error:
        raise OtherContent(f"The repository can't be stored: {error.strerror or error}.") from error


def _write(content: IO[bytes] | None, path: Path, *, executable: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        shutil.copyfileobj(content or open(os.devnull, "rb"), file)  # noqa: PTH123, SIM115 - a regular file has content
    if executable:
        path.chmod(path.stat().st_mode | 0o100)


def _pinned(host: str, port: int | None, scheme: str, budget: Budget) -> list[tuple[str, str]]:
    """Return the setting that makes git connect to addresses that were checked; a proxy finds them by itself."""
    if proxy_of(scheme, host):
        return []
    number = port or {"http": 80, "https": 443}[scheme]
    found = addresses_of(host, number, budget.rules, Deadline(budget.seconds, f"{host} was not resolved in time."))
    return [("http.curloptResolve", f"{host}:{number}:{','.join(map(str, found))}")]


def _environment(home: Path) -> dict[str, str]:
    kept = ("PATH", "LD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO", "GIT_EXEC_PATH")
    proxies = [name for name in os.environ if name.lower() in ("http_proxy", "https_proxy", "all_proxy", "no_proxy")]
    return {
        **{name: os.environ[name] for name in (*kept, *proxies) if name in os.environ},
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home),
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "false",
        "GIT_ALLOW_PROTOCOL": "http:https",
        "GIT_PROTOCOL_FROM_USER": "0",
        "GIT_ATTR_NOSYSTEM": "1",
    }


def _check_git() -> None:
    if shutil.which(GIT) is None:
        raise Unavailable("Repositories can't be fetched: the program git is not installed beside the API server.")
    printed = subprocess.run([GIT, "--version"], capture_output=True, check=False, text=True).stdout
    match = _VERSION.match(printed)
    if match is None or (int(match[1]), int(match[2])) < OLDEST_GIT:
        raise Unavailable(
            f"Repositories can't be fetched: {printed.strip() or 'git'} is too old; "
            f"{'.'.join(map(str, OLDEST_GIT))} or newer is needed."
        )
