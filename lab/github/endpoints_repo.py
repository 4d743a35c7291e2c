"""Endpoints on the repository, its runners, settings, secrets and files (REST reference: Repositories, Actions)."""

from __future__ import annotations

from typing import Any

from lab.github import (
    endpoints_acts,
    endpoints_locks,
    endpoints_runs,
    endpoints_variables,
    joblogs,
    rulesets,
    shapes,
    shapes_git,
)
from lab.github.gitobjects import blob_sha, folders, tree_sha
from lab.github.router import Ask, Refused, Route, not_found
from lab.github.world import Branch, Commit, Environment, Group, Named, Runner, iso

Json = dict[str, Any]


def repository(ask: Ask) -> Json:
    return shapes.repository(ask.world, ask.base)


def _render_runner(ask: Ask, it: Runner) -> Json:
    return shapes.runner(it, ask.online(it, ask.path))


def _runners(ask: Ask, some: list[Runner]) -> Json:
    kept = [runner for runner in some if ask.query.get("name", runner.name) == runner.name]
    return ask.wrapped("runners", kept, lambda runner: _render_runner(ask, runner))


def repo_runners(ask: Ask) -> Json:
    """An organisation's runners are not in this list, whether the repository may use them or not."""
    return _runners(ask, [runner for runner in ask.world.runners if runner.scope == "repo"])


def org_runners(ask: Ask) -> Json:
    inherited = {group.id for group in ask.world.groups if group.inherited}
    return _runners(ask, [r for r in ask.world.runners if r.scope == "org" and r.group_id not in inherited])


def repo_runner(ask: Ask) -> Json:
    return _one_runner(ask, "repo")


def org_runner(ask: Ask) -> Json:
    return _one_runner(ask, "org")


def _one_runner(ask: Ask, scope: str) -> Json:
    found = next((r for r in ask.world.runners if r.id == ask.number("runner") and r.scope == scope), None)
    if found is None:
        raise not_found()
    return _render_runner(ask, found)


def runner_groups(ask: Ask) -> Json:
    """`visible_to_repository` takes the repository's name without its owner."""
    wanted = ask.query.get("visible_to_repository")
    kept = [group for group in ask.world.groups if wanted is None or _visible(ask, group, wanted)]
    return ask.wrapped("runner_groups", kept, lambda group: shapes.group(ask.world, ask.base, group))


def _visible(ask: Ask, group: Group, repository: str) -> bool:
    full = f"{ask.world.owner}/{repository}".casefold()
    if group.visibility == "selected":
        return full in (name.casefold() for name in group.repositories)
    return full == ask.world.full_name.casefold()


def _group(ask: Ask) -> Group:
    found = ask.world.group(ask.number("group"))
    if found is None:
        raise not_found()
    return found


def runner_group(ask: Ask) -> Json:
    return shapes.group(ask.world, ask.base, _group(ask))


def group_runners(ask: Ask) -> Json:
    group = _group(ask)
    return _runners(ask, [r for r in ask.world.runners if r.scope == "org" and r.group_id == group.id])


def group_repositories(ask: Ask) -> Json:
    """Those of a selection; for any other visibility GitHub's document promises nothing, and here it is empty."""
    names = _group(ask).repositories
    return ask.wrapped("repositories", names, lambda name: shapes.minimal_repository(ask.world, ask.base, name))


def environments(ask: Ask) -> Json:
    return ask.wrapped("environments", ask.world.environments, lambda e: shapes.environment(ask.world, ask.base, e))


def _environment(ask: Ask) -> Environment:
    found = ask.world.environment(ask.names["environment"])
    if found is None:
        raise not_found()
    return found


def environment(ask: Ask) -> Json:
    return shapes.environment(ask.world, ask.base, _environment(ask))


def branch_policies(ask: Ask) -> Json:
    names = _environment(ask).branch_names
    return ask.wrapped(
        "branch_policies",
        names,
        lambda name: {"id": shapes.number(name), "node_id": f"GBP_{name}", "name": name, "type": "branch"},
    )


def protection_rules(ask: Ask) -> Json:
    """The Apps' rules alone; reviewers, timer and branches stand in the environment itself."""
    own = f"{shapes.repo_url(ask.world, ask.base)}/environments/{_environment(ask).name}/deployment_protection_rules"
    rules = [
        {
            "id": shapes.number(slug),
            "node_id": f"GPR_{slug}",
            "enabled": True,
            "app": {"id": shapes.number(f"app {slug}"), "node_id": f"A_{slug}", "slug": slug, "integration_url": own},
        }
        for slug in _environment(ask).custom_rules
    ]
    return {"total_count": len(rules), "custom_deployment_protection_rules": rules}


def environment_secrets(ask: Ask) -> Json:
    return _secrets(ask, _environment(ask).secrets)


def environment_variables(ask: Ask) -> Json:
    return _variables(ask, _environment(ask).variables)


def repo_secrets(ask: Ask) -> Json:
    return _secrets(ask, ask.world.secrets)


def organization_secrets(ask: Ask) -> Json:
    """Those of the organisation that this repository sees."""
    return _secrets(ask, ask.world.org_secrets)


def org_secrets(ask: Ask) -> Json:
    some = sorted(ask.world.org_secrets.values(), key=lambda it: it.name)
    return ask.wrapped("secrets", some, lambda it: shapes.org_secret(ask.world, ask.base, it))


def repo_variables(ask: Ask) -> Json:
    return _variables(ask, ask.world.variables)


def organization_variables(ask: Ask) -> Json:
    """Those of the organisation that this repository sees."""
    return _variables(ask, ask.world.org_variables)


def _secrets(ask: Ask, some: dict[str, Named]) -> Json:
    return ask.wrapped("secrets", sorted(some.values(), key=lambda it: it.name), shapes.secret)


def _variables(ask: Ask, some: dict[str, Named]) -> Json:
    return ask.wrapped("variables", sorted(some.values(), key=lambda it: it.name), shapes.variable)


def permissions(ask: Ask) -> Json:
    url = f"{shapes.repo_url(ask.world, ask.base)}/actions/permissions/selected-actions"
    return {"enabled": True, "allowed_actions": "selected", "selected_actions_url": url, "sha_pinning_required": True}


def workflow_permissions(_: Ask) -> Json:
    return {"default_workflow_permissions": "read", "can_approve_pull_request_reviews": False}


def branches(ask: Ask) -> list[Json]:
    wanted = {"true": True, "false": False}.get(ask.query.get("protected", ""))
    kept = sorted((b for b in ask.world.branches if wanted in (None, b.protected)), key=lambda b: b.name)
    return ask.bare(kept, lambda b: shapes_git.short_branch(ask.world, ask.base, b))


def branch(ask: Ask) -> Json:
    found: Branch | None = ask.world.branch(ask.names["branch"])
    if found is None:
        raise Refused(404, "Branch not found")
    return shapes_git.branch(ask.world, ask.base, found)


def _commit(ask: Ask, ref: str) -> Commit:
    found = ask.world.commit(ref)
    if found is None:
        raise not_found()
    return found


def commit(ask: Ask) -> Json:
    """A ref that names no commit is 422 at GitHub, not 404 (yegor256/rultor#1344, dotnet/arcade#6044)."""
    ref = ask.names["ref"]
    if ask.world.commit(ref) is None and ref not in ask.world.gone:
        raise Refused(422, f"No commit found for SHA: {ref}")
    it = _commit(ask, ref)
    before = ask.world.commits.get(it.parent)
    files = shapes_git.changed_files(ask.world, ask.base, before.tree if before else {}, it.tree, it.sha)
    added, removed = sum(f["additions"] for f in files), sum(f["deletions"] for f in files)
    stats = {"additions": added, "deletions": removed, "total": added + removed}
    return shapes_git.commit(ask.world, ask.base, it) | {"stats": stats, "files": ask.page(files)}


def compare(ask: Ask) -> Json:
    """History has no merges here, so the common ancestor is the first of the other's ancestors met."""
    base, dots, head = ask.names["span"].partition("...")
    if not dots:
        raise not_found()
    old, new = _commit(ask, base), _commit(ask, head)
    news, olds = _line(ask, new), _line(ask, old)
    known = {it.sha for it in olds}
    common = next((it for it in news if it.sha in known), None)
    if common is None:
        raise Refused(404, f"No common ancestor between {base} and {head}.")
    ahead, behind = news.index(common), olds.index(common)
    status = "diverged" if ahead and behind else "ahead" if ahead else "behind" if behind else "identical"
    page = f"{shapes.repo_html(ask.world)}/compare/{base}...{head}"
    return {
        "url": f"{shapes.repo_url(ask.world, ask.base)}/compare/{base}...{head}",
        "html_url": page,
        "permalink_url": page,
        "diff_url": f"{page}.diff",
        "patch_url": f"{page}.patch",
        "base_commit": shapes_git.commit(ask.world, ask.base, old),
        "merge_base_commit": shapes_git.commit(ask.world, ask.base, common),
        "status": status,
        "ahead_by": ahead,
        "behind_by": behind,
        "total_commits": ahead,
        "commits": ask.bare(news[:ahead][::-1], lambda it: shapes_git.commit(ask.world, ask.base, it)),
        "files": shapes_git.changed_files(ask.world, ask.base, common.tree, new.tree, new.sha),
    }


def _line(ask: Ask, it: Commit) -> list[Commit]:
    """A commit and its ancestors, newest first."""
    found = [it]
    while found[-1].parent in ask.world.commits:
        found.append(ask.world.commits[found[-1].parent])
    return found


def contents(ask: Ask) -> Any:
    """A directory is a list, a file an object."""
    ref = ask.query.get("ref") or ask.world.default_branch
    it = ask.world.commit(ref)
    if it is None:
        raise Refused(404, f"No commit found for the ref {ref}")
    path = ask.names.get("path", "").strip("/")
    if path in it.tree:
        return shapes_git.file(ask.world, ask.base, it, path, ref)
    if path and path not in folders(it.tree):
        raise not_found()
    return shapes_git.listing(ask.world, ask.base, it, path, ref)


def tree(ask: Ask) -> Json:
    ref = ask.names["ref"]
    files = it.tree if (it := ask.world.commit(ref)) else _subtree(ask, ref)
    return shapes_git.tree(ask.world, ask.base, files, recursive="recursive" in ask.query)


def _subtree(ask: Ask, sha: str) -> dict[str, bytes]:
    for it in ask.world.commits.values():
        for folder in ("", *folders(it.tree)):
            if tree_sha(it.tree, folder) == sha:
                start = f"{folder}/" if folder else ""
                return {path[len(start) :]: body for path, body in it.tree.items() if path.startswith(start)}
    raise not_found()


def blob(ask: Ask) -> Json:
    for it in ask.world.commits.values():
        for content in it.tree.values():
            if blob_sha(content) == ask.names["sha"]:
                return shapes_git.blob(ask.world, ask.base, content)
    raise not_found()


def releases(ask: Ask) -> list[Json]:
    newest = sorted(ask.world.releases, key=lambda it: it.created, reverse=True)
    return ask.bare(newest, lambda it: shapes_git.release(ask.world, ask.base, it))


def whoami(ask: Ask) -> Json:
    """Whose token asks. An installation's belongs to nobody."""
    if not ask.login:
        raise Refused(403, "Resource not accessible by integration")
    own = shapes.user(ask.base, ask.login)
    counts = dict.fromkeys(("public_repos", "public_gists", "followers", "following"), 0)
    about = {"name": None, "company": None, "blog": "", "location": None, "email": None, "hireable": None, "bio": None}
    return own | about | counts | {"created_at": iso(ask.world.created), "updated_at": iso(ask.world.created)}


def rate_limit(ask: Ask) -> Json:
    """Version 2026-03-10 has no `rate` any more."""
    search = {"limit": 30, "remaining": 30, "used": 0, "reset": ask.rate["reset"]}
    return {"resources": {"core": dict(ask.rate), "search": search}}


RUNNERS = "organization_self_hosted_runners"
ROUTES = (
    Route("GET", "/rate_limit", "", rate_limit),
    Route("GET", "/user", "", whoami),
    Route("GET", "R", "metadata", repository),
    Route("GET", "R/actions/runners", "administration", repo_runners),
    Route("GET", "R/actions/runners/{runner}", "administration", repo_runner),
    Route("GET", "ORG/actions/runners", RUNNERS, org_runners),
    Route("GET", "ORG/actions/runners/{runner}", RUNNERS, org_runner),
    Route("GET", "ORG/actions/runner-groups", RUNNERS, runner_groups),
    Route("GET", "ORG/actions/runner-groups/{group}", RUNNERS, runner_group),
    Route("GET", "ORG/actions/runner-groups/{group}/runners", RUNNERS, group_runners),
    Route("GET", "ORG/actions/runner-groups/{group}/repositories", RUNNERS, group_repositories),
    Route("GET", "R/environments", "actions", environments),
    Route("GET", "R/environments/{environment}", "actions", environment),
    Route("GET", "R/environments/{environment}/deployment-branch-policies", "actions", branch_policies),
    Route("GET", "R/environments/{environment}/deployment_protection_rules", "actions", protection_rules),
    Route("GET", "R/environments/{environment}/secrets", "environments", environment_secrets),
    Route("GET", "R/environments/{environment}/variables", "environments", environment_variables),
    Route("GET", "R/actions/secrets", "secrets", repo_secrets),
    Route("GET", "R/actions/organization-secrets", "secrets", organization_secrets),
    Route("GET", "ORG/actions/secrets", "organization_secrets", org_secrets),
    Route("GET", "R/actions/variables", "actions_variables", repo_variables),
    Route("GET", "R/actions/organization-variables", "actions_variables", organization_variables),
    Route("GET", "R/actions/permissions", "administration", permissions),
    Route("GET", "R/actions/permissions/workflow", "administration", workflow_permissions),
    Route("GET", "R/branches", "contents", branches),
    Route("GET", "R/branches/{branch*}", "contents", branch),
    Route("GET", "R/commits/{ref*}", "contents", commit),
    Route("GET", "R/compare/{span*}", "contents", compare),
    Route("GET", "R/contents", "contents", contents),
    Route("GET", "R/contents/{path*}", "contents", contents),
    Route("GET", "R/git/trees/{ref*}", "contents", tree),
    Route("GET", "R/git/blobs/{sha}", "contents", blob),
    Route("GET", "R/releases", "contents", releases),
    *rulesets.ROUTES,
    *joblogs.ROUTES,
    *endpoints_runs.ROUTES,
    *endpoints_locks.ROUTES,
    *endpoints_acts.ROUTES,
    *endpoints_variables.ROUTES,
)
