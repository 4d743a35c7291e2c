"""The repository, its people, runners and settings in GitHub's JSON. `base` is the API's own address, without a slash.

Shapes: GitHub's OpenAPI document (REST reference, `full-repository`, `simple-user`, `runner`, `runner-groups-org`,
`environment`, `team`, …) and, where it is silent, recorded answers (`can_admins_bypass`).
"""

from __future__ import annotations

import zlib
from typing import Any

from lab.github.world import ORG_ID, REPO_ID, Environment, Group, Named, Runner, World, iso

Json = dict[str, Any]

HTML = "https://github.com"
TEAM_ID = 4_404_001

REPO_LINKS = {
    "archive_url": "/{archive_format}{/ref}",
    "assignees_url": "/assignees{/user}",
    "blobs_url": "/git/blobs{/sha}",
    "branches_url": "/branches{/branch}",
    "collaborators_url": "/collaborators{/collaborator}",
    "comments_url": "/comments{/number}",
    "commits_url": "/commits{/sha}",
    "compare_url": "/compare/{base}...{head}",
    "contents_url": "/contents/{+path}",
    "contributors_url": "/contributors",
    "deployments_url": "/deployments",
    "downloads_url": "/downloads",
    "events_url": "/events",
    "forks_url": "/forks",
    "git_commits_url": "/git/commits{/sha}",
    "git_refs_url": "/git/refs{/sha}",
    "git_tags_url": "/git/tags{/sha}",
    "hooks_url": "/hooks",
    "issue_comment_url": "/issues/comments{/number}",
    "issue_events_url": "/issues/events{/number}",
    "issues_url": "/issues{/number}",
    "keys_url": "/keys{/key_id}",
    "labels_url": "/labels{/name}",
    "languages_url": "/languages",
    "merges_url": "/merges",
    "milestones_url": "/milestones{/number}",
    "notifications_url": "/notifications{?since,all,participating}",
    "pulls_url": "/pulls{/number}",
    "releases_url": "/releases{/id}",
    "stargazers_url": "/stargazers",
    "statuses_url": "/statuses/{sha}",
    "subscribers_url": "/subscribers",
    "subscription_url": "/subscription",
    "tags_url": "/tags",
    "teams_url": "/teams",
    "trees_url": "/git/trees{/sha}",
}


def number(word: str) -> int:
    """A stable id for a thing that has only a name."""
    return 10_000_000 + zlib.crc32(word.encode()) % 80_000_000


def repo_url(world: World, base: str) -> str:
    return f"{base}/repos/{world.full_name}"


def repo_html(world: World) -> str:
    return f"{HTML}/{world.full_name}"


def user(base: str, login: str, kind: str = "User", user_id: int | None = None) -> Json:
    own = f"{base}/users/{login}"
    return {
        "login": login,
        "id": user_id if user_id is not None else number(login),
        "node_id": f"U_{login}",
        "avatar_url": f"https://avatars.githubusercontent.com/u/{number(login)}?v=4",
        "gravatar_id": "",
        "url": own,
        "html_url": f"{HTML}/{login}",
        "followers_url": f"{own}/followers",
        "following_url": f"{own}/following{{/other_user}}",
        "gists_url": f"{own}/gists{{/gist_id}}",
        "starred_url": f"{own}/starred{{/owner}}{{/repo}}",
        "subscriptions_url": f"{own}/subscriptions",
        "organizations_url": f"{own}/orgs",
        "repos_url": f"{own}/repos",
        "events_url": f"{own}/events{{/privacy}}",
        "received_events_url": f"{own}/received_events",
        "type": kind,
        "site_admin": False,
    }


def organisation(world: World, base: str) -> Json:
    return user(base, world.owner, "User" if world.owned_by_user else "Organization", ORG_ID)


def minimal_repository(world: World, base: str, full_name: str = "") -> Json:
    """This repository, or another of the same owner, of which only the name is known."""
    full_name = full_name or world.full_name
    name = full_name.rpartition("/")[2]
    own = f"{base}/repos/{full_name}"
    shape: Json = {
        "id": REPO_ID if full_name == world.full_name else number(full_name),
        "node_id": f"R_{name}",
        "name": name,
        "full_name": full_name,
        "private": True,
        "owner": organisation(world, base),
        "html_url": f"{HTML}/{full_name}",
        "description": name.capitalize(),
        "fork": False,
        "url": own,
    }
    shape.update({name: own + tail for name, tail in REPO_LINKS.items()})
    return shape


def repository(world: World, base: str) -> Json:
    """`visibility`, `permissions` and the merge settings are what a read-only token sees."""
    host = f"github.com/{world.full_name}"
    organisation_ = {} if world.owned_by_user else {"organization": organisation(world, base)}
    return (
        minimal_repository(world, base)
        | organisation_
        | {
            "created_at": iso(world.created),
            "updated_at": iso(world.now),
            "pushed_at": iso(world.now),
            "git_url": f"git://{host}.git",
            "ssh_url": f"git@github.com:{world.full_name}.git",
            "clone_url": f"https://{host}.git",
            "svn_url": f"https://{host}",
            "mirror_url": None,
            "homepage": None,
            "language": "Python",
            "license": None,
            "size": 1840,
            "forks_count": 0,
            "stargazers_count": 0,
            "watchers_count": 0,
            "open_issues_count": 0,
            "subscribers_count": 3,
            "network_count": 0,
            "forks": 0,
            "watchers": 0,
            "open_issues": 0,
            "default_branch": world.default_branch,
            "visibility": "private",
            "has_issues": True,
            "has_projects": True,
            "has_wiki": False,
            "has_pages": False,
            "has_discussions": False,
            "archived": False,
            "disabled": False,
            "is_template": False,
            "topics": [],
            "allow_forking": False,
            "permissions": {"admin": False, "maintain": False, "push": False, "triage": False, "pull": True},
        }
    )


def runner(it: Runner, online: bool) -> Json:
    labels = [{"id": number(f"label {name}"), "name": name, "type": "read-only"} for name in it.read_only]
    labels += [{"id": number(f"label {name}"), "name": name, "type": "custom"} for name in it.custom]
    return {
        "id": it.id,
        "name": it.name,
        "os": "linux",
        "status": "online" if online else "offline",
        "busy": it.busy,
        "ephemeral": False,
        "version": it.version,
        "runner_group_id": it.group_id,
        "labels": labels,
    }


def group(world: World, base: str, it: Group) -> Json:
    own = f"{base}/orgs/{world.owner}/actions/runner-groups/{it.id}"
    shape: Json = {
        "id": it.id,
        "name": it.name,
        "visibility": it.visibility,
        "default": it.default,
        "runners_url": f"{own}/runners",
        "inherited": it.inherited,
        "allows_public_repositories": it.allows_public,
        "restricted_to_workflows": False,
        "selected_workflows": [],
        "workflow_restrictions_read_only": False,
    }
    if it.visibility == "selected":
        shape["selected_repositories_url"] = f"{own}/repositories"
    return shape


def team(base: str) -> Json:
    own = f"{base}/organizations/{ORG_ID}/team/{TEAM_ID}"
    return {
        "id": TEAM_ID,
        "node_id": "T_release-managers",
        "name": "release-managers",
        "slug": "release-managers",
        "description": "May approve a deploy to production",
        "privacy": "closed",
        "notification_setting": "notifications_enabled",
        "permission": "pull",
        "type": "organization",
        "organization_id": ORG_ID,
        "url": own,
        "html_url": f"{HTML}/orgs/acme/teams/release-managers",
        "members_url": f"{own}/members{{/member}}",
        "repositories_url": f"{own}/repos",
        "parent": None,
    }


def environment(world: World, base: str, it: Environment) -> Json:
    """`can_admins_bypass` is in no schema, yet in every recorded answer."""
    rules: list[Json] = []
    if it.reviewers:
        rules.append(
            {
                "id": it.id * 10 + 1,
                "node_id": "GA_reviewers",
                "type": "required_reviewers",
                "prevent_self_review": it.prevent_self_review,
                "reviewers": [{"type": "Team", "reviewer": team(base)}],
            }
        )
    if it.wait_minutes:
        rules.append({"id": it.id * 10 + 3, "node_id": "GA_timer", "type": "wait_timer", "wait_timer": it.wait_minutes})
    policy: Json | None = None
    if it.protected_branches is not None:
        rules.append({"id": it.id * 10 + 2, "node_id": "GA_branches", "type": "branch_policy"})
        policy = {"protected_branches": it.protected_branches, "custom_branch_policies": not it.protected_branches}
    return {
        "id": it.id,
        "node_id": f"EN_{it.name}",
        "name": it.name,
        "url": f"{repo_url(world, base)}/environments/{it.name}",
        "html_url": f"{repo_html(world)}/deployments/activity_log?environments_filter={it.name}",
        "created_at": iso(it.created),
        "updated_at": iso(it.created),
        "can_admins_bypass": it.can_admins_bypass,
        "protection_rules": rules,
        "deployment_branch_policy": policy,
    }


def secret(it: Named) -> Json:
    """A secret's value is never told, and nobody here has one."""
    shape: Json = {"name": it.name, "created_at": iso(it.created), "updated_at": iso(it.updated)}
    return shape


def org_secret(world: World, base: str, it: Named) -> Json:
    shape = secret(it) | {"visibility": it.visibility}
    if it.visibility == "selected":
        shape["selected_repositories_url"] = f"{base}/orgs/{world.owner}/actions/secrets/{it.name}/repositories"
    return shape


def variable(it: Named) -> Json:
    return {"name": it.name, "value": it.value, "created_at": iso(it.created), "updated_at": iso(it.updated)}
