"""``cwl-ui-plugin migrate-dags``: Dag files of the predecessors are rewritten, or their workflows uploaded."""

from __future__ import annotations

import argparse
import difflib
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from cwl_ui_client.uploading import upload

from cwl_ui_plugin import atomic
from cwl_ui_plugin.cli.client import Client, add_server_arguments
from cwl_ui_plugin.cli.errors import CliError, UsageError
from cwl_ui_plugin.cli.old_dag_files import MOST_BYTES, FoundDag, Migration, read_old
from cwl_ui_plugin.library.compressed import decompressed, is_compressed
from cwl_ui_plugin.library.errors import BadUpload

_LARGEST = 1 << 20
_CONFLICT = 409


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="the folder with the Dag files, or one Dag file")
    parser.add_argument("--upload", action="store_true", help="upload the workflows, and put the Dag files out of use")
    parser.add_argument("--dry-run", action="store_true", help="only show what would be done")
    add_server_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Go through the files; return 1 where one could not be migrated."""
    if not arguments.folder.exists():
        raise UsageError(f"There is no {arguments.folder}.")
    client = Client.of(arguments) if arguments.upload and not arguments.dry_run else None
    done, failed = 0, 0
    for found in _found(arguments.folder):
        _show_findings(found)
        try:
            is_done = _upload(found, client) if arguments.upload else _rewrite(found, arguments.dry_run)
        except (CliError, OSError) as error:
            print(f"{found.path}: {error}", file=sys.stderr)
            is_done = False
        done, failed = done + is_done, failed + (not is_done)
    what = "would be migrated" if arguments.dry_run else "migrated"
    print(f"{done} {what}, {failed} left as they are.")
    return 1 if failed else 0


def _found(folder: Path) -> Iterator[Migration]:
    """Yield the files that have something of the predecessors; links and folders that are hidden are passed by."""
    for path in [folder] if folder.is_file() else sorted(folder.rglob("*.py")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if hidden or path.is_symlink() or not path.is_file() or path.stat().st_size > _LARGEST:
            continue
        found = read_old(path, path.read_bytes())
        if found is not None:
            yield found


def _show_findings(found: Migration) -> None:
    for finding in found.findings:
        print(f"{found.path}:{finding.line}: {'' if finding.blocks else 'note: '}{finding.text}")


def _rewrite(found: Migration, dry_run: bool) -> bool:
    if found.is_blocked:
        return False
    before, after = (text.decode().splitlines(keepends=True) for text in (found.old, found.new))
    sys.stdout.writelines(difflib.unified_diff(before, after, str(found.path), str(found.path)))
    for name, content in found.documents.items():
        target = found.path.with_name(name)
        if target.exists() and target.read_bytes() != content:
            raise UsageError(f"{target} is there already and is another document: move it, or rename the Dag.")
        print(f"{target}: the workflow that the Dag file has in it")
        if not dry_run:
            atomic.write_bytes(target, content)
    if not dry_run:
        print(f"{found.path}: rewritten; as it was: {_keep(found.path)}")
        atomic.write_bytes(found.path, found.new, mode=stat.S_IMODE(found.path.stat().st_mode))
    return True


def _keep(path: Path) -> Path:
    """Copy a file to a name beside it that nothing has, and return that."""
    number = 0
    while True:
        kept = path.with_name(f"{path.name}.bak{number or ''}")
        try:
            os.close(os.open(kept, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:
            number += 1
            continue
        shutil.copy2(path, kept)
        return kept


def _upload(found: Migration, client: Client | None) -> bool:
    """Upload the workflows of a file; without a client only say which. Then Airflow must not read the file any more."""
    if not found.dags or any(dag.workflow is None or dag.dag_id is None for dag in found.dags):
        print(f"{found.path}: which document or dag_id it names can't be told from its text: upload it by hand.")
        return False
    if found.has_others:
        print(f"{found.path}: it has other Dags, too, which would be gone: put the CWLDAGs into a file of their own.")
        return False
    with tempfile.TemporaryDirectory(prefix="cwl-migrate-") as folder:
        for dag in found.dags:
            document = _document(found, dag, Path(folder))
            print(f"{found.path}:{dag.line}: {dag.dag_id} is {document}")
            if not document.is_file():
                raise UsageError(f"There is no {document}.")
            if client is not None:
                _upload_one(client, document, str(dag.dag_id))
    if client is not None:
        kept = _keep(found.path)
        found.path.unlink()
        print(f"{found.path}: uploaded; the Dag file is {kept} now")
    return True


def _upload_one(client: Client, document: Path, dag_id: str) -> None:
    try:
        client.drive(upload(str(document), dag_id=dag_id))
    except CliError as error:
        if getattr(error, "status", None) != _CONFLICT:
            raise
        raise UsageError(
            f"{error}\nIf that Dag is the one of this Dag file: move the file away, wait until Airflow does not show "
            "that Dag any more, and upload the document with `cwl-ui-plugin upload`."
        ) from error


def _document(found: Migration, dag: FoundDag, folder: Path) -> Path:
    text = dag.workflow or ""
    if not is_compressed(text):
        return found.path.absolute().parent / text
    target = folder / f"{Path(str(dag.dag_id)).name}.cwl"
    try:
        target.write_bytes(decompressed(text, MOST_BYTES))
    except BadUpload as error:
        raise UsageError(str(error)) from error
    return target
