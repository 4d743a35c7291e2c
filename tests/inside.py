"""The stand-in without its HTTP: a look asks its world directly, so that a test may lay any history and look at once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from fixtures.ask import Answer, Ask, below
from fixtures.facts.context import Admits, Context, Deploy, Environment, GitHub, Rollback, Runner, Selector, Source
from fixtures.facts.limits import Limits
from fixtures.joblogs import Logs
from fixtures.looks import LOOKS, Run
from fixtures.secrets import Redactor
from fixtures.variables import reduced
from lab.github import joblogs
from lab.github.hub import Hub
from lab.github.router import Ask as Question
from lab.github.router import Refused, by_name
from lab.github.world import World
from tests import worlds

BASE = "http://127.0.0.1:1"
PRIMARY, STANDBY = "prod-runner-01", "prod-runner-02"


def laid(*faults: str) -> Hub:
    """The healthy world with these faults, both runners online."""
    hub = Hub("acme", "widgets")
    for fault in faults:
        hub.break_(fault, {})
    for runner in hub.world.runners:
        runner.always_online = not runner.kept_offline
    return hub


def context(**changes: Any) -> Context:
    """What the lab's context says of that world."""

    def runner(name: str, role: Any) -> Runner:
        labels = ("self-hosted", "Linux", "X64", "production", name)
        return Runner(
            name, role, "/opt/actions-runner", "runner", labels, ("self-hosted", name), name, group="production",
            approved=worlds.APPROVAL,
        )  # fmt: skip

    made = Context(
        version=1,
        name="inside",
        github=GitHub("acme/widgets", Source(env="TOKEN"), api_url=BASE),
        environment=Environment("production"),
        secrets=("DEPLOY_KEY", "REGISTRY_TOKEN"),
        deploy=Deploy(".github/workflows/deploy-production.yml", "deploy", "production"),
        rollback=Rollback(".github/workflows/rollback.yml", "version", "widgets-{sha}"),
        runners=(runner(PRIMARY, "primary"), runner(STANDBY, "secondary")),
        targets=(),
        selectors=(Selector("./.github/workflows/preflight.yml"),),
        admits=Admits(),
        limits=Limits(),
    )
    return replace(made, **changes)


class Inside(Ask):
    """Answers from a world. `absent` are paths that this GitHub does not have; `asked` holds what was asked, once each."""

    def __init__(self, hub: Hub, absent: tuple[str, ...] = (), base: str = BASE) -> None:
        self.hub = hub
        self.absent = absent
        self.base = base
        self.headers: Mapping[str, str] = {}
        self.answers: dict[str, Answer] = {}
        self.logs = Logs(None)

    @property
    def world(self) -> World:
        return self.hub.world

    @property
    def asked(self) -> list[str]:
        return list(self.answers)

    def answer(self, path: str, again: int = 0) -> Answer:
        if path not in self.answers:
            self.answers[path] = self._answer(path)
        return self.answers[path]

    def _answer(self, path: str) -> Answer:
        url = urlsplit(path)
        plain = by_name(url.path, self.world)
        found = self.hub.router.find("GET", plain)
        if found is None or any(part in path for part in self.absent):
            return Answer(404, {"message": "Not Found"}, dict(self.headers))
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        asked = Question(self.world, self.base, plain, query, found.names, self.hub.online, self.hub.rate())
        try:
            body = json.loads(json.dumps(found.route.answer(asked)))
        except Refused as refused:
            if refused.status == 302:
                log = joblogs.text(self.world, *joblogs.job_of(self.world, int(found.names["job"])))
                return self.logs.reduced(path, Answer(200, log.encode()), Redactor())
            return Answer(refused.status, refused.body, dict(self.headers))
        links = {"link": ", ".join(asked.links)} if asked.links else {}
        clock = datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
        return Answer(200, reduced(path, body), {**self.headers, **links, "date": clock})

    def wait(self, seconds: float) -> None:
        return None

    def relative(self, url: str) -> str | None:
        return below(self.base, url)


def run_of(hub: Hub, number: int = 0) -> Run:
    return Run(hub.laid.replace(microsecond=0), number)


def looked(name: str, *faults: str, world: Context | None = None, absent: tuple[str, ...] = ()) -> Any:
    """The fact that a look gives of the world with these faults."""
    hub = laid(*faults)
    return LOOKS[name](Inside(hub, absent), world or context(), run_of(hub))
