"""OpenStack Swift in one process, run by the system's Python, which has the package ``python3-swift``.

``python3 swift_server.py FOLDER LOGIN SECRET``: account, container and object server with one device in a folder, and a
proxy that speaks S3 for one user. It prints the port of that, and ends when its standard input does.
"""

from __future__ import annotations

import array
import os
import sys
from pathlib import Path
from typing import Any

import eventlet

eventlet.patcher.monkey_patch()

from eventlet import wsgi  # noqa: E402
from swift.account.server import AccountController  # noqa: E402
from swift.common import constraints, storage_policy, utils  # noqa: E402
from swift.common.ring import RingData  # noqa: E402
from swift.common.wsgi import SwiftHttpProtocol, loadapp  # noqa: E402
from swift.container.server import ContainerController  # noqa: E402
from swift.obj.server import ObjectController  # noqa: E402

DEVICE = "d1"
SERVERS = {"account": AccountController, "container": ContainerController, "object": ObjectController}
SWIFT = "[swift-hash]\nswift_hash_path_suffix = tests\n[storage-policy:0]\nname = one\ndefault = yes\n"
PROXY = """
[pipeline:main]
pipeline = catch_errors s3api tempauth slo dlo proxy-server

[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true

[filter:catch_errors]
use = egg:swift#catch_errors

[filter:s3api]
use = egg:swift#s3api
location = us-east-1

[filter:tempauth]
use = egg:swift#tempauth
user_tests_{login} = {secret} .admin

[filter:slo]
use = egg:swift#slo

[filter:dlo]
use = egg:swift#dlo
"""


class Memory:
    """What Swift keeps in memcached."""

    def __init__(self) -> None:
        self._kept: dict[str, Any] = {}

    def get(self, key: str, **_options: Any) -> Any:
        return self._kept.get(key)

    def set(self, key: str, value: Any, **_options: Any) -> None:
        self._kept[key] = value

    def incr(self, key: str, delta: int = 1, **_options: Any) -> int:
        self._kept[key] = max(0, int(self._kept.get(key, 0)) + delta)
        return int(self._kept[key])

    def delete(self, key: str, **_options: Any) -> None:
        self._kept.pop(key, None)


def serve(application: Any, listener: Any) -> None:
    logger = utils.NullLogger()
    eventlet.spawn(wsgi.server, listener, application, logger, protocol=SwiftHttpProtocol, log_output=False)


def _without_chunks(start_response: Any) -> Any:
    """Have an answer to HEAD say that nothing follows.

    s3api gives none of its errors a length, and eventlet ends such an answer with the chunk that ends a body, also
    where there may be no body: aiohttp takes that for the next answer, and fails.
    """

    def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
        has_length = any(name.lower() == "content-length" for name, _value in headers)
        return start_response(status, headers if has_length else [*headers, ("Content-Length", "0")], *more)

    return start


def main(folder: Path, login: str, secret: str) -> None:
    (folder / DEVICE).mkdir(parents=True)
    (folder / "swift.conf").write_text(SWIFT)
    (folder / "proxy-server.conf").write_text(PROXY.format(login=login, secret=secret))
    utils.SWIFT_CONF_FILE = storage_policy.SWIFT_CONF_FILE = constraints.SWIFT_CONF_FILE = str(folder / "swift.conf")
    constraints.reload_constraints()
    storage_policy.reload_storage_policies()
    utils.HASH_PATH_SUFFIX, utils.HASH_PATH_PREFIX = b"tests", b""
    options = {"devices": str(folder), "swift_dir": str(folder), "mount_check": "false"}
    for name, kind in SERVERS.items():
        listener = eventlet.listen(("127.0.0.1", 0))
        place = {"ip": "127.0.0.1", "port": listener.getsockname()[1], "device": DEVICE}
        device = {"id": 0, "region": 1, "zone": 1, "weight": 1.0, "meta": "", **place}
        device |= {"replication_ip": place["ip"], "replication_port": place["port"]}
        RingData([array.array("H", [0])], [device], 32).save(str(folder / f"{name}.ring.gz"))
        serve(kind(options), listener)
    proxy = eventlet.listen(("127.0.0.1", 0))
    application, memory = loadapp(str(folder / "proxy-server.conf"), global_conf=options), Memory()

    def with_memory(environ: dict[str, Any], start_response: Any) -> Any:
        environ["swift.cache"] = memory
        is_head = environ["REQUEST_METHOD"] == "HEAD"
        return application(environ, _without_chunks(start_response) if is_head else start_response)

    serve(with_memory, proxy)
    print(proxy.getsockname()[1], flush=True)
    os.set_blocking(0, False)  # others go on while this waits
    while os.read(0, 1):
        pass


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
