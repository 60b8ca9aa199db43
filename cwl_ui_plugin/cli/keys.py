"""``cwl-ui-plugin keys``: make a key pair."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from cwl_ui_plugin.cli.errors import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    generate = actions.add_parser("generate", help="write a private key to OUT and its public key to OUT.pub")
    generate.add_argument("out", metavar="OUT", type=Path, help="file of the private key")
    generate.add_argument(
        "--algorithm", "-a", default="RS256", help="its algorithm: RS256 (default), PS256, ES256, EdDSA, ..."
    )
    generate.add_argument("--force", action="store_true", help="overwrite files that are there")


def run(arguments: argparse.Namespace) -> int:
    """Write both files; the private one is for its owner only."""
    from cwl_ui_plugin.signing.algorithms import parse_algorithms
    from cwl_ui_plugin.signing.errors import SigningError
    from cwl_ui_plugin.signing.keys import fingerprint, generate_key_pair

    private, public = arguments.out, arguments.out.with_name(arguments.out.name + ".pub")
    there = [str(path) for path in (private, public) if path.exists()]
    if there and not arguments.force:
        raise UsageError(f"{', '.join(there)} is there already; --force overwrites.")
    try:
        pair = generate_key_pair(parse_algorithms(arguments.algorithm)[0])
    except SigningError as error:
        raise UsageError(str(error)) from error
    _write(private, pair.private, 0o600)
    _write(public, pair.public, 0o644)
    print(f"{private}\n{public}\n{fingerprint(pair.public)}")
    return 0


def _write(path: Path, text: str, mode: int) -> None:
    try:
        path.unlink(missing_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="ascii") as file:  # noqa: PTH123
            file.write(text)
    except OSError as error:
        raise UsageError(f"{path} can't be written: {error.strerror}.") from error
