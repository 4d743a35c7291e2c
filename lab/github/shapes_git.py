"""Commits, branches, files, releases and comparisons in GitHub's JSON (OpenAPI: `commit`, `git-tree`, …)."""

from __future__ import annotations

import base64
from collections.abc import Mapping

from lab.github.gitobjects import blob_sha, children, folders, mode, tree_sha
from lab.github.shapes import Json, repo_html, repo_url, user
from lab.github.world import Branch, Commit, Release, World, iso


def commit(world: World, base: str, it: Commit) -> Json:
    own = f"{repo_url(world, base)}/commits/{it.sha}"
    person = {"name": it.author, "email": f"{it.author}@users.noreply.github.com", "date": iso(it.when)}
    tree = tree_sha(it.tree)
    parents = []
    if it.parent:
        url = f"{repo_url(world, base)}/commits/{it.parent}"
        parents = [{"sha": it.parent, "url": url, "html_url": f"{repo_html(world)}/commit/{it.parent}"}]
    return {
        "sha": it.sha,
        "node_id": f"C_{it.sha}",
        "commit": {
            "author": person,
            "committer": person,
            "message": it.message,
            "tree": {"sha": tree, "url": f"{repo_url(world, base)}/git/trees/{tree}"},
            "url": f"{repo_url(world, base)}/git/commits/{it.sha}",
            "comment_count": 0,
            "verification": {
                "verified": False,
                "reason": "unsigned",
                "signature": None,
                "payload": None,
                "verified_at": None,
            },
        },
        "url": own,
        "html_url": f"{repo_html(world)}/commit/{it.sha}",
        "comments_url": f"{own}/comments",
        "author": user(base, it.author),
        "committer": user(base, it.author),
        "parents": parents,
    }


def changed_files(world: World, base: str, old: Mapping[str, bytes], new: Mapping[str, bytes], sha: str) -> list[Json]:
    """The files that differ, with whole-line counts; the patch itself is left out."""
    shown: list[Json] = []
    for path in sorted(old.keys() | new.keys()):
        before, after = old.get(path), new.get(path)
        if before == after:
            continue
        plus, minus = len((after or b"").splitlines()), len((before or b"").splitlines())
        shown.append(
            {
                "sha": blob_sha(after if after is not None else before or b""),
                "filename": path,
                "status": "added" if before is None else "removed" if after is None else "modified",
                "additions": plus,
                "deletions": minus,
                "changes": plus + minus,
                "blob_url": f"{repo_html(world)}/blob/{sha}/{path}",
                "raw_url": f"{repo_html(world)}/raw/{sha}/{path}",
                "contents_url": f"{repo_url(world, base)}/contents/{path}?ref={sha}",
            }
        )
    return shown


def short_branch(world: World, base: str, it: Branch) -> Json:
    return {
        "name": it.name,
        "commit": {"sha": it.sha, "url": f"{repo_url(world, base)}/commits/{it.sha}"},
        "protected": it.protected,
        "protection": _protection(it),
        "protection_url": f"{repo_url(world, base)}/branches/{it.name}/protection",
    }


def branch(world: World, base: str, it: Branch) -> Json:
    url = f"{repo_url(world, base)}/branches/{it.name}"
    return {
        "name": it.name,
        "commit": commit(world, base, world.commits[it.sha]),
        "_links": {"self": url, "html": f"{repo_html(world)}/tree/{it.name}"},
        "protected": it.protected,
        "protection": _protection(it),
        "protection_url": f"{url}/protection",
    }


def _protection(it: Branch) -> Json:
    contexts = ["test"] if it.protected else []
    level = "non_admins" if it.protected else "off"
    return {
        "enabled": it.protected,
        "required_status_checks": {"enforcement_level": level, "contexts": contexts, "checks": []},
    }


def entry(world: World, base: str, it: Commit, path: str, content: bytes | None, ref: str) -> Json:
    """One line of a directory's listing; `content` None says that it is a directory."""
    sha = tree_sha(it.tree, path) if content is None else blob_sha(content)
    url = f"{repo_url(world, base)}/contents/{path}?ref={ref}"
    git = f"{repo_url(world, base)}/git/{'trees' if content is None else 'blobs'}/{sha}"
    page = f"{repo_html(world)}/{'tree' if content is None else 'blob'}/{ref}/{path}"
    raw = None if content is None else f"https://raw.githubusercontent.com/{world.full_name}/{ref}/{path}"
    return {
        "name": path.rsplit("/", 1)[-1],
        "path": path,
        "sha": sha,
        "size": 0 if content is None else len(content),
        "url": url,
        "html_url": page,
        "git_url": git,
        "download_url": raw,
        "type": "dir" if content is None else "file",
        "_links": {"self": url, "git": git, "html": page},
    }


def listing(world: World, base: str, it: Commit, folder: str, ref: str) -> list[Json]:
    found = children(it.tree, folder)
    return [entry(world, base, it, f"{folder}/{name}" if folder else name, body, ref) for name, body in found.items()]


def file(world: World, base: str, it: Commit, path: str, ref: str) -> Json:
    content = it.tree[path]
    return entry(world, base, it, path, content, ref) | {"content": wrapped(content), "encoding": "base64"}


def wrapped(content: bytes) -> str:
    """base64 in lines of 60, each with its line feed, as GitHub sends it."""
    text = base64.b64encode(content).decode()
    return "".join(f"{text[at : at + 60]}\n" for at in range(0, len(text), 60))


def tree(world: World, base: str, files: Mapping[str, bytes], recursive: bool) -> Json:
    own = f"{repo_url(world, base)}/git"
    names: dict[str, bytes | None] = children(files, "")
    if recursive:
        names = dict(sorted({**dict.fromkeys(folders(files)), **files}.items()))
    lines: list[Json] = []
    for path, content in names.items():
        if content is None:
            sha = tree_sha(files, path)
            lines.append({"path": path, "mode": "040000", "type": "tree", "sha": sha, "url": f"{own}/trees/{sha}"})
        else:
            sha = blob_sha(content)
            line = {"path": path, "mode": mode(path), "type": "blob", "sha": sha, "size": len(content)}
            lines.append(line | {"url": f"{own}/blobs/{sha}"})
    sha = tree_sha(files)
    return {"sha": sha, "url": f"{own}/trees/{sha}", "tree": lines, "truncated": False}


def blob(world: World, base: str, content: bytes) -> Json:
    sha = blob_sha(content)
    return {
        "sha": sha,
        "node_id": f"B_{sha}",
        "size": len(content),
        "url": f"{repo_url(world, base)}/git/blobs/{sha}",
        "content": wrapped(content),
        "encoding": "base64",
    }


def release(world: World, base: str, it: Release) -> Json:
    own = f"{repo_url(world, base)}/releases/{it.id}"
    page = f"{repo_html(world)}/releases/tag/{it.tag}"
    return {
        "url": own,
        "html_url": page,
        "assets_url": f"{own}/assets",
        "upload_url": f"{own}/assets{{?name,label}}",
        "tarball_url": f"{repo_url(world, base)}/tarball/{it.tag}",
        "zipball_url": f"{repo_url(world, base)}/zipball/{it.tag}",
        "id": it.id,
        "node_id": f"RE_{it.id}",
        "tag_name": it.tag,
        "target_commitish": it.sha,
        "name": it.tag,
        "body": "",
        "draft": False,
        "prerelease": False,
        "immutable": False,
        "created_at": iso(it.created),
        "updated_at": iso(it.created),
        "published_at": iso(it.created),
        "author": user(base, "acme-release-manager"),
        "assets": [],
    }
