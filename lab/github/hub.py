"""The stand-in's memory: the world, the faults that are on, who polled when, how much of the rate limit is used.

The world is a pure function of (when it was laid, the strangers registered, the world faults in the order they came),
so that taking one fault away leaves exactly the others. Callers hold `lock`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

from lab.github import (
    mutate,
    mutate_drills,
    mutate_files,
    mutate_history,
    mutate_logs,
    mutate_operate,
    pushes,
    software,
    tokens,
    transport,
)
from lab.github.actions import Actions
from lab.github.apps import App
from lab.github.endpoints_repo import ROUTES
from lab.github.history import DEFAULT_GROUP, build, repository_files
from lab.github.jobs import Jobs
from lab.github.kinds import Kind
from lab.github.router import Router
from lab.github.tokens import Grant
from lab.github.transport import TransportFault
from lab.github.world import ONLINE_SECONDS, Commit, Named, Runner, World, iso

HOURLY = 5000
MUTATIONS = {
    **mutate.MUTATIONS,
    **mutate_history.MUTATIONS,
    **mutate_files.MUTATIONS,
    **mutate_logs.MUTATIONS,
    **mutate_operate.MUTATIONS,
    **mutate_drills.MUTATIONS,
    **software.MUTATIONS,
}


class Hub:
    def __init__(self, owner: str, repo: str) -> None:
        self.lock = threading.Lock()
        self.owner, self.repo = owner, repo
        self._polls: dict[str, tuple[float, str]] = {}
        """Runner name to (monotonic time of its last poll, the version it told). Outlives a reset: agents poll on."""
        self.woken: dict[str, int] = {}
        """Runner name to how often its held polls were told to end."""
        self.reset()
        self.router = Router(self.world, (*ROUTES, *software.ROUTES))

    def reset(self) -> None:
        """The healthy world, laid back from now, with no fault on and nothing of the rate limit used."""
        self.laid = datetime.now(UTC)
        self.strangers: dict[str, Runner] = {}
        self.removed: set[str] = set()
        self.pushed: list[tuple[str, Commit]] = []
        """Commits that came by a push, oldest first, each with its branch."""
        self.world_faults: list[str] = []
        self.transport_faults: dict[str, TransportFault] = {}
        self._flips: dict[tuple[str, str], int] = {}
        self.jobs = Jobs()
        self.actions = Actions(self.jobs, lambda: self.world)
        self.kind = Kind()
        self.apps: dict[int, App] = {}
        self.tokens: dict[str, Grant] = {}
        """Further tokens, by their word."""
        self.used = 0
        self.window = int(time.time()) + 3600
        self.written: dict[str, Named] = {}
        """The variables of the repository that somebody made since: they outlive a world that is laid anew."""
        self.lay()

    def lay(self) -> None:
        self.world: World = build(self.owner, self.repo, self.laid, repository_files())
        self.world.written = self.written
        self.world.variables |= self.written
        self._known = tuple(self.world.runners)
        self.world.software = software.published()
        self.world.runners = [runner for runner in self.world.runners if runner.name not in self.removed]
        self.world.runners += [Runner(**asdict(runner)) for runner in self.strangers.values()]
        for branch, commit in self.pushed:
            pushes.land(self.world, branch, commit)
        for name in self.actions.secrets:
            pushes.name_secret(self.world, name)
        for name in self.world_faults:
            MUTATIONS[name](self.world)
        self.kind.shape(self.world)
        for name, (_, version) in self._polls.items():
            runner = self.world.runner(name)
            if runner is not None and version:
                runner.version = version
        laid = {id(run) for run in self.world.runs}
        self.jobs.into(self.world)
        hidden = self.world.hides_runs_of
        self.world.runs = [run for run in self.world.runs if run.path != hidden or id(run) in laid]
        self.actions.into(self.world)

    def main_grant(self) -> Grant:
        """Of the lab's own token, which reads everything; its end and its scopes are the world's."""
        return replace(tokens.MAIN, ends=self.world.token_ends, scopes=self.world.token_scopes)

    def registered(self, name: str) -> bool:
        """Whether a runner of that name may have a session. A fault that hides it from the lists leaves it its session."""
        hidden = name in {runner.name for runner in self._known} | self.strangers.keys()
        return name not in self.removed and (hidden or self.world.runner(name) is not None)

    def break_(self, name: str, params: Mapping[str, Any]) -> None:
        """Raises ValueError when there is no such fault."""
        if name in MUTATIONS:
            if name not in self.world_faults:
                self.world_faults.append(name)
                try:
                    self.lay()
                except (AssertionError, LookupError, ValueError) as wrong:
                    self.world_faults.remove(name)
                    self.lay()
                    others = ", ".join(self.world_faults)
                    raise ValueError(f"{name} cannot come on top of {others}: {wrong}") from None
            return
        self.transport_faults[name] = transport.parse(name, params)

    def heal(self, name: str) -> bool:
        """Ends one fault, or all of them for an empty name. False when it was not on."""
        known = name in self.world_faults or name in self.transport_faults or not name
        self.transport_faults = {n: f for n, f in self.transport_faults.items() if name and n != name}
        left = [n for n in self.world_faults if name and n != name]
        if left != self.world_faults:
            self.world_faults = left
            self._flips = {}
            self.lay()
        return known

    def poll(self, name: str, version: str) -> bool:
        """A runner's sign of life. False when no such runner is registered."""
        if not self.registered(name):
            return False
        self._polls[name] = (time.monotonic(), version)
        runner = self.world.runner(name)
        if runner is not None and version:
            runner.version = version
        return True

    def fall_silent(self, name: str) -> None:
        """Take the runner's last poll for long past: one that lives polls again at once, one that is dead stays offline."""
        if name in self._polls:
            self._polls[name] = (time.monotonic() - ONLINE_SECONDS - 1, self._polls[name][1])
        self.woken[name] = self.woken.get(name, 0) + 1
        self.jobs.age_session(name)

    def online(self, runner: Runner, path: str = "") -> bool:
        """GitHub's word on a runner. A flapping one is offline in the first, third, … answer of each list."""
        if runner.kept_offline:
            return False
        if runner.flaps and path:
            flip = self._flips.get((runner.name, path), 0)
            self._flips[runner.name, path] = flip + 1
            if flip % 2 == 0:
                return False
        polled = self._polls.get(runner.name)
        return runner.always_online or (polled is not None and time.monotonic() - polled[0] <= ONLINE_SECONDS)

    def register(self, wish: Mapping[str, Any]) -> Runner:
        """A runner more; the known one when it is there already. Raises ValueError with a sentence.

        `group` is a group's name or id. Without `scope` a group other than the default one means the organisation:
        a repository's own runners can be in no other.
        """
        name, wanted = wish.get("name"), wish.get("group") or DEFAULT_GROUP
        if not isinstance(name, str) or not name:
            raise ValueError("a runner needs a name")
        group = next((g for g in self.world.groups if wanted in (g.name, g.id)), None)
        if group is None:
            raise ValueError(f"no runner group is called {wanted}")
        scope = wish.get("scope") or ("repo" if group.default else "org")
        if scope not in ("repo", "org"):
            raise ValueError(f"scope is repo or org, not {scope}")
        if name in self.removed:
            self.removed.discard(name)
            self.lay()
        known = next((r for r in self.world.runners if (r.name, r.scope) == (name, scope)), None)
        if known is not None:
            return known
        automatic = {"self-hosted", "linux", "x64"}
        runner = Runner(
            id=200 + len(self.strangers),
            name=name,
            custom=[str(label) for label in wish.get("labels", []) if str(label).casefold() not in automatic],
            group_id=group.id,
            scope="org" if scope == "org" else "repo",
            always_online=bool(wish.get("always_online", False)),
            busy=bool(wish.get("busy", False)),
        )
        self.strangers[name] = runner
        self.lay()
        return runner

    def push(self, wish: Mapping[str, Any]) -> tuple[str, list[int]]:
        """A commit more, and the runs that it starts: its sha, and their ids. Raises ValueError with a sentence."""
        faults, self.world_faults = self.world_faults, []
        self.lay()
        self.world_faults = faults
        branch, commit = pushes.commit(self.world, wish)
        self.pushed.append((branch, commit))
        try:
            self.lay()
            started = self.actions.push(branch, commit.sha, list(pushes.texts(wish.get("files"))), commit.author)
        except (AssertionError, LookupError, ValueError) as wrong:
            self.pushed.pop()
            self.lay()
            raise ValueError(f"that push is not taken: {wrong}") from None
        return commit.sha, [run.id for run in started]

    def unregister(self, name: str) -> bool:
        if self.world.runner(name) is None:
            return False
        self.removed.add(name)
        self.strangers.pop(name, None)
        self.lay()
        return True

    def rate(self, spend: int = 0) -> dict[str, int]:
        """The primary limit of this hour, after spending."""
        if time.time() >= self.window:
            self.used, self.window = 0, int(time.time()) + 3600
        self.used = min(HOURLY, self.used + spend)
        return {"limit": HOURLY, "used": self.used, "remaining": HOURLY - self.used, "reset": self.window}

    def dump(self) -> dict[str, Any]:
        """What a person or a test wants to know of the stand-in; no secret is in it."""
        return {
            "laid": iso(self.laid),
            "world_faults": list(self.world_faults),
            "transport_faults": {
                fault.name: {
                    "kind": fault.kind,
                    "endpoint": fault.endpoint.pattern,
                    "struck": fault.struck,
                    **fault.more,
                }
                for fault in self.transport_faults.values()
            },
            "runners": [asdict(runner) | {"online": self.online(runner)} for runner in self.world.runners],
            "runs": len(self.world.runs),
            "deployments": len(self.world.deployments),
            "artifacts": len(self.world.artifacts),
            "branches": {branch.name: branch.sha for branch in self.world.branches},
            "rate": self.rate(),
        }
