"""``cwl-ui-plugin trigger``: the predecessors' trigger.py."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from cwl_ui_plugin import addresses
from cwl_ui_plugin.cli.client import Client, add_server_arguments
from cwl_ui_plugin.cli.errors import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("-d", "--dag-id", required=True, help="name of the workflow, or of any other Dag")
    parser.add_argument("-r", "--run-id", required=True, help="name of the new run")
    parser.add_argument("-c", "--conf", required=True, help='JSON, as {"job": {...}}; @FILE reads it from a file')
    parser.add_argument("-k", "--key", type=Path, help="file with the private key to sign with")
    parser.add_argument("-a", "--algorithm", default="RS256", help="algorithm of the signature (default: RS256)")
    parser.add_argument(
        "--expires", metavar="SECONDS", type=float, help="let the signature expire (default: it does not)"
    )
    parser.add_argument(
        "--bind-dag",
        action="store_true",
        help="sign the dag_id, too: the signature then starts no other Dag. Servers of the predecessors refuse this",
    )
    add_server_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Trigger the run; print the server's answer."""
    conf = _conf(arguments.conf)
    body = {"run_id": arguments.run_id, "conf": conf}
    if arguments.key:
        body["check_payload"] = _signature(arguments, conf)
    client = Client.of(arguments)
    answer = client.request("POST", addresses.trigger(arguments.dag_id), json=body)
    print(json.dumps(answer.json(), indent=2))
    return 0


def _conf(text: str) -> str:
    try:
        text = Path(text[1:]).read_text(encoding="utf-8") if text.startswith("@") else text
        conf = json.loads(text)
    except OSError as error:
        raise UsageError(f"{text[1:]} can't be read: {error.strerror}.") from error
    except ValueError as error:
        raise UsageError(f"The conf is no JSON: {error}.") from error
    if not isinstance(conf, dict):
        raise UsageError('The conf must be a JSON object, as {"job": {...}}.')
    return text


def _signature(arguments: argparse.Namespace, conf: str) -> str:
    from cwl_ui_plugin.signing.errors import SigningError, WeakKey

    try:
        key = arguments.key.read_text(encoding="ascii")
        return _signed(arguments, conf, key)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"The key {arguments.key} can't be read: {error}.") from error
    except WeakKey as error:
        print(f"Warning: {error} The server takes it only with [cwl] allow_weak_keys.", file=sys.stderr)
        return _signed(arguments, conf, key, allow_weak=True)
    except SigningError as error:
        raise UsageError(f"{error} Name the key's algorithm with -a.") from error


def _signed(arguments: argparse.Namespace, conf: str, key: str, *, allow_weak: bool = False) -> str:
    from cwl_ui_plugin.signing.algorithms import parse_algorithms
    from cwl_ui_plugin.signing.triggers import sign_trigger

    algorithm = parse_algorithms(arguments.algorithm)[0]
    dag_id = arguments.dag_id if arguments.bind_dag else None
    return sign_trigger(
        arguments.run_id, conf, key, algorithm, dag_id=dag_id, lifetime=arguments.expires, allow_weak=allow_weak
    )
