"""Git's own names for files and directories, so that a sha means here what it means to git."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping


def blob_sha(content: bytes) -> str:
    return _name("blob", content)


def _name(kind: str, body: bytes) -> str:
    return hashlib.sha1(b"%s %d\0" % (kind.encode(), len(body)) + body, usedforsecurity=False).hexdigest()


def children(tree: Mapping[str, bytes], folder: str) -> dict[str, bytes | None]:
    """What lies directly in `folder` ("" is the root): a file's bytes, or None for a directory; in git's order."""
    found: dict[str, bytes | None] = {}
    start = f"{folder}/" if folder else ""
    for path, content in tree.items():
        if path.startswith(start):
            head, slash, _ = path[len(start) :].partition("/")
            found[head] = None if slash else content
    return dict(sorted(found.items(), key=lambda item: item[0] + ("/" if item[1] is None else "")))


def mode(path: str) -> str:
    return "100755" if path.endswith(".sh") else "100644"


def tree_sha(tree: Mapping[str, bytes], folder: str = "") -> str:
    body = b""
    for name, content in children(tree, folder).items():
        inner = f"{folder}/{name}" if folder else name
        sha = tree_sha(tree, inner) if content is None else blob_sha(content)
        body += f"{'40000' if content is None else mode(name)} {name}\0".encode() + bytes.fromhex(sha)
    return _name("tree", body)


def folders(tree: Mapping[str, bytes]) -> list[str]:
    """Every directory below the root."""
    found = {path.rsplit("/", depth)[0] for path in tree for depth in range(1, path.count("/") + 1)}
    return sorted(found)
