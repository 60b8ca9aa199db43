"""Which path a request is for, whatever this server is served below."""

from __future__ import annotations

from starlette.types import Scope


def path_of(scope: Scope) -> str:
    """Return the path of a request as Starlette's router reads it: without ``root_path``, if it begins with that.

    A proxy may have taken the prefix away already; then ``/api`` does not begin with a prefix ``/a``.
    """
    path, root = str(scope["path"]), str(scope.get("root_path", ""))
    return path.removeprefix(root) if path == root or path.startswith(f"{root}/") else path
