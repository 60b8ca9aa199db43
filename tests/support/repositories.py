"""A git repository that a server of a test gives to whoever asks by HTTP, as forges do."""

from __future__ import annotations

import gzip
import subprocess
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from support.web import Page, Web, giving

_RESULT = "application/x-git-upload-pack-result"
_IDENTITY = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "init.defaultBranch=main")


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *_IDENTITY, *arguments], cwd=folder, capture_output=True, check=True, text=True)
    return done.stdout.strip()


def commit(folder: Path, files: Mapping[str, str], links: Mapping[str, str] | None = None) -> str:
    """Write files into a repository, which is made if it is not there, and commit them; return the commit."""
    folder.mkdir(exist_ok=True)
    if not (folder / ".git").exists():
        git(folder, "init", "--quiet")
        git(folder, "config", "uploadpack.allowAnySHA1InWant", "true")
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    for name, target in (links or {}).items():
        (folder / name).symlink_to(target)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "More")
    return git(folder, "rev-parse", "HEAD")


def publish(site: Web, path: str, folder: Path) -> str:
    """Serve a repository at a path (git's smart HTTP protocol); return its address."""

    def advertise(handler: BaseHTTPRequestHandler) -> None:
        refs = subprocess.run(
            ["git", "upload-pack", "--stateless-rpc", "--advertise-refs", str(folder)], capture_output=True, check=True
        ).stdout
        content = b"001e# service=git-upload-pack\n0000" + refs
        giving(content, Content_Type="application/x-git-upload-pack-advertisement")(handler)

    def upload(handler: BaseHTTPRequestHandler) -> None:
        giving(_answer(handler, folder), Content_Type=_RESULT)(handler)

    site.pages[f"{path}/info/refs"] = advertise
    site.pages[f"{path}/git-upload-pack"] = upload
    return site.url(path)


def talking(folder: Path) -> Page:
    """A page that says words for users, without end, where the repository's content should be."""

    def page(handler: BaseHTTPRequestHandler) -> None:
        answer = _answer(handler, folder)
        if b"PACK" not in answer:
            giving(answer, Content_Type=_RESULT)(handler)
            return
        handler.send_response(200)
        handler.send_header("Content-Type", _RESULT)
        handler.end_headers()
        handler.wfile.write(answer[: answer.index(b"NAK\n") + 4])
        said = b"\x02" + b"x" * 990 + b"\n"
        while True:
            handler.wfile.write(b"%04x" % (len(said) + 4) + said)

    return page


def _answer(handler: BaseHTTPRequestHandler, folder: Path) -> bytes:
    sent = handler.rfile.read(int(handler.headers["Content-Length"]))
    if handler.headers.get("Content-Encoding") == "gzip":
        sent = gzip.decompress(sent)
    command = ["git", "upload-pack", "--stateless-rpc", str(folder)]
    return subprocess.run(command, input=sent, capture_output=True, check=False).stdout
