"""Each check over facts as values: it holds on good ones, and breaks on each kind of bad ones with what it saw."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from checks import test_failover as failover
from checks import test_pace as pace
from checks import test_rollback as rollback
from checks import test_runner_health as health
from checks import test_secret_masking as masking
from checks import test_serialization as serialization
from fixtures.facts.contact import Clock, Contact
from fixtures.facts.context import Environment as Wanted
from fixtures.facts.context import Failover
from fixtures.facts.environment import Environment, SecretNames
from fixtures.facts.host import Reached, Reaches
from fixtures.facts.limits import Limits, Size
from fixtures.facts.processes import Processes
from fixtures.facts.record import Durations, Flight, InFlight
from fixtures.facts.registrations import Registrations, choices
from fixtures.facts.seen import NotApplicable, Unseen
from fixtures.facts.standby import Standby
from fixtures.facts.workflows import Workflows
from tests import worlds
from tests.worlds import (
    DEPLOY,
    NEW,
    NOW,
    OLD,
    ROLLBACK,
    TODAY,
    UNIT,
    artifact,
    artifacts,
    deploy_file,
    deployment,
    files,
    job_text,
    listener,
    mount,
    processes,
    record,
    registration,
    registrations,
    rollback_file,
    runner,
    unit,
    workflow,
    world,
)

WORLD, LIMITS = world(), Limits()
FIRST, SECOND = WORLD.runners
GB = 1024**3


def disks(**change: Any) -> Any:
    return worlds.disks(mount(), mount("/work", **change))


def reaches(**change: Any) -> Reaches:
    good = Reached("shop", "https://shop", True, 200, "", 200)
    return Reaches((good, replace(good, name="other", **change)))


def guarded(**change: Any) -> Environment:
    return replace(Environment("production", True, 1, False, True, ("main",), False), **change)


def secrets(own: str = "DEPLOY_KEY", repository: str = "", organization: str = "") -> SecretNames:
    return SecretNames(*(frozenset(names.split()) for names in (own, repository, organization)))


def clock(near: float = 0.5, *daemons: str) -> Clock:
    return Clock("prod-1", near - 1, near + 1, daemons)


def flight() -> InFlight:
    return InFlight("production", NOW, (Flight(7, "Deploy", "in_progress", NOW - timedelta(minutes=4), True),))


def took(*minutes: float) -> Durations:
    return Durations(tuple(timedelta(minutes=m) for m in minutes), timedelta(days=30))


def jobs(all_files: Workflows) -> Any:
    return all_files.production(WORLD)


ROGUE = registration("rogue", 66, labels=frozenset({"self-hosted", "prod-2"}))
CANCELS = {"group": "production", "cancel-in-progress": True}
OTHER = ".github/workflows/other.yml"
UNLOCKED = workflow({"migrate": job_text(concurrency=None)}, OTHER)
LATE = date(2027, 2, 23)

Case = tuple[Callable[..., None], tuple[Any, ...]]

# fmt: off
HOLDS: dict[str, Case] = {
    "reachable": (health.test_reachable, (FIRST, Contact("prod-1", True, ""))),
    "registered": (health.test_registered, (FIRST, registrations())),
    "registered, labels by case": (health.test_registered, (runner(labels=("SELF-HOSTED", "linux", "Production", "PROD-1")), registrations())),
    "online": (health.test_online, (FIRST, registrations(registration("x", 3, online=False)))),
    "service-running": (health.test_service_running, (FIRST, unit(relaunches=2))),
    "listener-alive": (health.test_listener_alive, (FIRST, processes())),
    "listener-alive, plain": (health.test_listener_alive, (runner(supervisor="process", user="root"), processes(listener(user="root", unit="")))),
    "disk-room": (health.test_disk_room, (FIRST, disks(free=Size(10 * GB), size=Size(100 * GB), inodes=10, inodes_free=1), LIMITS)),
    "clock-true": (health.test_clock_true, (FIRST, clock(30.9, "chronyd"), LIMITS)),
    "clock-true, nobody asked for a daemon": (health.test_clock_true, (FIRST, clock(), Limits(time_daemon=False))),
    "reaches-production": (health.test_reaches_production, (FIRST, reaches())),
    "secrets-present": (masking.test_secrets_present, (WORLD, secrets("DEPLOY_KEY MORE"))),
    "environment-only": (masking.test_environment_only, (WORLD, secrets(repository="OTHER", organization="MORE"))),
    "environment-guarded": (masking.test_environment_guarded, (WORLD, guarded())),
    "environment-guarded, as far as asked": (masking.test_environment_guarded, (world(environment=Wanted("production", ("branch-policy",))), guarded(reviewers=0, self_review=True, admins_bypass=None))),
    "one-lock": (serialization.test_one_lock, (WORLD, files(), jobs(files()))),
    "never-cut": (serialization.test_never_cut, (WORLD, files())),
    "nothing-in-flight": (serialization.test_nothing_in_flight, (WORLD, InFlight("production", NOW, ()))),
    "standby-approved": (failover.test_standby_approved, (WORLD, TODAY)),
    "standby-approved, one of two": (failover.test_standby_approved, (world(runners=(*WORLD.runners, runner("prod-3", "secondary", approved=None))), TODAY)),
    "standby-ready": (failover.test_standby_ready, (WORLD, (Standby(SECOND, False, False), Standby(SECOND, True, False)))),
    "reachable-by-job": (failover.test_reachable_by_job, (WORLD, TODAY, WORLD.runners, jobs(files()))),
    "reachable-by-job, by labels": (failover.test_reachable_by_job, (WORLD, TODAY, WORLD.runners, jobs(files(deploy=deploy_file(runs_on=["self-hosted", "PRODUCTION"]))))),
    "strangers-excluded": (failover.test_strangers_excluded, (WORLD, WORLD.runners, registrations(registration("build", 9, labels=frozenset({"self-hosted", "build"}))), jobs(files()))),
    "choice-binds": (failover.test_choice_binds, (WORLD, choices(WORLD.runners, registrations()))),
    "last-good-known": (rollback.test_last_good_known, (WORLD, record())),
    "artifact-kept": (rollback.test_artifact_kept, (WORLD, artifacts(artifact()), LIMITS, NOW)),
    "artifact-kept, GHES": (rollback.test_artifact_kept, (WORLD, artifacts(artifact(digest=None)), LIMITS, NOW)),
    "artifact-kept, to the second": (rollback.test_artifact_kept, (WORLD, artifacts(artifact(expires=NOW + timedelta(days=1), created=NOW - timedelta(days=13))), LIMITS, NOW)),
    "path-alive": (rollback.test_path_alive, (WORLD, files(), WORLD.runners)),
    "p95": (pace.test_p95, (WORLD, took(*[3] * 19, 10), LIMITS)),
}
# fmt: on

# (the check, its facts, a part of what it says)
# fmt: off
BREAKS: dict[str, tuple[Callable[..., None], tuple[Any, ...], str]] = {
    "reachable": (health.test_reachable, (FIRST, Contact("prod-1", False, "prod-1 shows another host key")), "prod-1 shows another host key"),
    "registered, not": (health.test_registered, (FIRST, Registrations((registration("prod-2", 2),))), "GitHub lists no runner named prod-1"),
    "registered, nobody": (health.test_registered, (FIRST, Registrations(())), "GitHub lists no runner named prod-1"),
    "registered, twice": (health.test_registered, (FIRST, registrations(registration("PROD-1", 9))), "GitHub lists 2 runners named prod-1"),
    "registered, elsewhere": (health.test_registered, (FIRST, Registrations((registration(group="Default"),))), "prod-1 is in group Default of the organization, not in group production"),
    "registered, of the repository": (health.test_registered, (FIRST, Registrations((registration(group=None),))), "prod-1 is in a group of the organization that is not told"),
    "registered, a label less": (health.test_registered, (FIRST, Registrations((registration(labels=frozenset({"self-hosted", "prod-1"})),))), "prod-1 lacks the labels ['linux', 'production']"),
    "registered, a label more": (health.test_registered, (FIRST, Registrations((registration(custom=frozenset({"prod-1", "gpu"})),))), "prod-1 wears undeclared labels ['gpu']"),
    "online, not": (health.test_online, (FIRST, Registrations((registration(online=False),))), "GitHub says that prod-1 is offline"),
    "online, nobody": (health.test_online, (FIRST, Registrations(())), "GitHub lists no runner named prod-1"),
    "online, one of two": (health.test_online, (FIRST, registrations(registration(number=9, online=False))), "offline"),
    "service-running, not loaded": (health.test_service_running, (FIRST, unit(loaded=False)), "prod-1.service is active"),
    "service-running, failed": (health.test_service_running, (FIRST, unit(active_state="failed", sub_state="failed")), "is failed (failed)"),
    "service-running, activating": (health.test_service_running, (FIRST, unit(active_state="activating", sub_state="auto-restart")), "activating (auto-restart)"),
    "service-running, not at boot": (health.test_service_running, (FIRST, unit(enabled=False)), "not enabled at boot"),
    "service-running, relaunching": (health.test_service_running, (FIRST, unit(relaunches=3)), "relaunched 3 times in the last hour"),
    "listener-alive, none": (health.test_listener_alive, (FIRST, Processes(UNIT, (), (), 0)), "no Runner.Listener runs"),
    "listener-alive, two": (health.test_listener_alive, (FIRST, processes(listener(), listener(pid=99))), "Runner.Listener 99"),
    "listener-alive, stopped": (health.test_listener_alive, (FIRST, processes(listener(state="T"))), "(state T)"),
    "listener-alive, dead": (health.test_listener_alive, (FIRST, processes(listener(state="Z"))), "(state Z)"),
    "listener-alive, another user": (health.test_listener_alive, (FIRST, processes(listener(user="me"))), "runner is declared"),
    "listener-alive, root": (health.test_listener_alive, (runner(user="root"), processes(listener(user="root"))), "of root"),
    "service-running, of another directory": (health.test_service_running, (FIRST, unit(elsewhere="/opt/other")), "it is the service of /opt/other"),
    "service-running, not startable": (health.test_service_running, (FIRST, unit(start="runsvc.sh is empty, so it will not start again")), "it will not start again"),
    "service-running, a death with 0": (health.test_service_running, (FIRST, unit(active_state="inactive", sub_state="dead", journal=("Runner listener exited with error code 1",))), "success, which says nothing: a runner's service ends so whatever killed it; its listener ended last with code 1: not configured"),
    "listener-alive, in another service": (health.test_listener_alive, (FIRST, processes(listener(unit="tmux.service"))), "its .service names actions.runner"),
    "listener-alive, no service named": (health.test_listener_alive, (FIRST, processes(service="")), "its .service names nothing"),
    "listener-alive, in no service": (health.test_listener_alive, (FIRST, processes(listener(unit=""))), "in no service"),
    "disk-room, read-only": (health.test_disk_room, (FIRST, disks(writable=False), LIMITS), "READ-ONLY"),
    "disk-room, bytes": (health.test_disk_room, (FIRST, disks(free=Size(10 * GB - 1), size=Size(20 * GB)), LIMITS), "10 GiB are needed"),
    "disk-room, percent": (health.test_disk_room, (FIRST, disks(free=Size(20 * GB), size=Size(201 * GB)), LIMITS), "10 % are needed"),
    "disk-room, inodes": (health.test_disk_room, (FIRST, disks(inodes=1000, inodes_free=99), LIMITS), "10 % of inodes are needed"),
    "disk-room, full": (health.test_disk_room, (FIRST, disks(free=Size(0), size=Size(0)), Limits(disk_free=Size(0))), "0 B"),
    "clock-true, ahead": (health.test_clock_true, (FIRST, clock(31.5, "chronyd"), LIMITS), "ahead of GitHub's"),
    "clock-true, behind": (health.test_clock_true, (FIRST, clock(-31.5, "chronyd"), LIMITS), "behind GitHub's"),
    "clock-true, nobody keeps it": (health.test_clock_true, (FIRST, clock(), LIMITS), "kept by no time daemon"),
    "reaches-production, status": (health.test_reaches_production, (FIRST, reaches(status=503)), "from prod-1: other does not answer at https://shop: status 503, not 200"),
    "reaches-production, refused": (health.test_reaches_production, (FIRST, reaches(connected=False, status=0, error="curl: (7) refused")), "curl: (7) refused"),
    "secrets-present": (masking.test_secrets_present, (WORLD, secrets("OTHER", repository="DEPLOY_KEY")), "environment production lacks DEPLOY_KEY"),
    "secrets-present, none": (masking.test_secrets_present, (WORLD, secrets("")), "lacks DEPLOY_KEY"),
    "environment-only, repository": (masking.test_environment_only, (WORLD, secrets(repository="DEPLOY_KEY")), "DEPLOY_KEY (repository)"),
    "environment-only, organization": (masking.test_environment_only, (WORLD, secrets("", organization="DEPLOY_KEY")), "DEPLOY_KEY (organization)"),
    "environment-guarded, none": (masking.test_environment_guarded, (WORLD, guarded(exists=False)), "there is no environment production"),
    "environment-guarded, reviewers": (masking.test_environment_guarded, (WORLD, guarded(reviewers=0)), "nobody has to approve a deploy"),
    "environment-guarded, self-review": (masking.test_environment_guarded, (WORLD, guarded(self_review=True)), "who starts a deploy may approve it"),
    "environment-guarded, branches": (masking.test_environment_guarded, (WORLD, guarded(branch_policy=False)), "any branch may deploy"),
    "environment-guarded, no branch": (masking.test_environment_guarded, (WORLD, guarded(branches=())), "none is protected"),
    "environment-guarded, bypass": (masking.test_environment_guarded, (WORLD, guarded(admins_bypass=True)), "administrators may bypass"),
    "one-lock, another": (serialization.test_one_lock, (WORLD, files(UNLOCKED), jobs(files(UNLOCKED))), f"{OTHER}:1 job migrate: it takes no lock"),
    "one-lock, a file rejected": (serialization.test_one_lock, (WORLD, files(workflow({"a": {}}, OTHER)), jobs(files())), f"GitHub would reject {OTHER}"),
    "one-lock, no deploy": (serialization.test_one_lock, (WORLD, Workflows("main", ()), ()), f"{DEPLOY} has no job deploy"),
    "never-cut": (serialization.test_never_cut, (WORLD, files(deploy=deploy_file(concurrency=CANCELS))), 'cancels what runs in "production"'),
    "never-cut, a file rejected": (serialization.test_never_cut, (WORLD, files(workflow({"a": {}}, OTHER))), "GitHub would reject"),
    "never-cut, no deploy": (serialization.test_never_cut, (WORLD, Workflows("main", ())), "has no job deploy"),
    "nothing-in-flight": (serialization.test_nothing_in_flight, (WORLD, flight()), "run 7 (Deploy) is in_progress for 4 min, holds the lock"),
    "standby-approved, none": (failover.test_standby_approved, (world(runners=(FIRST,)), TODAY), "the context has no secondary"),
    "standby-approved, not": (failover.test_standby_approved, (world(runners=(FIRST, replace(SECOND, approved=None))), TODAY), "prod-2 has no approval"),
    "standby-approved, no more": (failover.test_standby_approved, (WORLD, LATE), "the approval of prod-2 ended on 2027-02-22"),
    "standby-ready, busy": (failover.test_standby_ready, (WORLD, (Standby(SECOND, True, True),)), "prod-2 is busy"),
    "standby-ready, offline": (failover.test_standby_ready, (WORLD, (Standby(SECOND, False, False),)), "prod-2 is offline"),
    "reachable-by-job, the primary alone": (failover.test_reachable_by_job, (WORLD, TODAY, WORLD.runners, jobs(files(deploy=deploy_file(runs_on=["self-hosted", "prod-1"])))), "which no approved secondary wears"),
    "reachable-by-job, no deploy": (failover.test_reachable_by_job, (WORLD, TODAY, WORLD.runners, ()), f"{DEPLOY} has no job deploy"),
    "strangers-excluded": (failover.test_strangers_excluded, (WORLD, WORLD.runners, registrations(ROGUE), jobs(files())), "rogue (organization runner 66) can take"),
    "strangers-excluded, no longer approved": (failover.test_strangers_excluded, (WORLD, (FIRST,), registrations(), jobs(files(deploy=deploy_file(runs_on=["self-hosted"])))), "prod-2"),
    "strangers-excluded, no deploy": (failover.test_strangers_excluded, (WORLD, WORLD.runners, registrations(), ()), f"{DEPLOY} has no job deploy"),
    "choice-binds, a stranger": (failover.test_choice_binds, (WORLD, choices(WORLD.runners, registrations(ROGUE))), "not approved: rogue"),
    "choice-binds, another": (failover.test_choice_binds, (WORLD, choices((replace(FIRST, runs_on=("prod-2",)), SECOND), registrations())), "not by prod-1"),
    "last-good-known, none": (rollback.test_last_good_known, (WORLD, record(deployments=(deployment(2, NEW), deployment(1, OLD, False)), complete=True)), "no two of them succeeded"),
    "last-good-known, gone": (rollback.test_last_good_known, (WORLD, record(commit_exists=False)), "its commit is gone"),
    "artifact-kept, none": (rollback.test_artifact_kept, (WORLD, artifacts(), LIMITS, NOW), "no artifact is called"),
    "artifact-kept, expired": (rollback.test_artifact_kept, (WORLD, artifacts(artifact(expired=True)), LIMITS, NOW), "expired"),
    "artifact-kept, expires": (rollback.test_artifact_kept, (WORLD, artifacts(artifact(expires=NOW + timedelta(hours=23))), LIMITS, NOW), "expires 2026-11-25"),
    "artifact-kept, no digest": (rollback.test_artifact_kept, (WORLD, artifacts(artifact(digest="")), LIMITS, NOW), "digest unknown"),
    "artifact-kept, not long": (rollback.test_artifact_kept, (WORLD, artifacts(artifact(expires=NOW + timedelta(days=5))), LIMITS, NOW), "shorter than the rollback window of 14 days"),
    "path-alive, none": (rollback.test_path_alive, (WORLD, Workflows("main", (deploy_file(),)), WORLD.runners), f"there is no {ROLLBACK} at main"),
    "path-alive, rejected": (rollback.test_path_alive, (WORLD, files(rollback=workflow({"a": {}}, ROLLBACK)), WORLD.runners), "GitHub would reject"),
    "path-alive, disabled": (rollback.test_path_alive, (WORLD, files(rollback=replace(rollback_file(), state="disabled_manually")), WORLD.runners), "is disabled_manually"),
    "path-alive, not dispatched": (rollback.test_path_alive, (WORLD, files(rollback=workflow({"r": job_text()}, ROLLBACK)), WORLD.runners), "cannot be dispatched"),
    "path-alive, no version": (rollback.test_path_alive, (WORLD, files(rollback=workflow({"r": job_text()}, ROLLBACK, "workflow_dispatch")), WORLD.runners), "has no input 'version'"),
    "path-alive, touches nothing": (rollback.test_path_alive, (WORLD, files(rollback=rollback_file(environment=None, runs_on="ubuntu-latest")), WORLD.runners), "has no job that touches production"),
    "path-alive, another environment": (rollback.test_path_alive, (WORLD, files(rollback=rollback_file(environment="staging")), WORLD.runners), "deploys to production"),
    "path-alive, another lock": (rollback.test_path_alive, (WORLD, files(rollback=rollback_file(concurrency="own")), WORLD.runners), 'takes the lock "own"'),
    "path-alive, other runners": (rollback.test_path_alive, (WORLD, files(rollback=rollback_file(runs_on="ubuntu-latest")), WORLD.runners), "which no approved runner wears"),
    "p95": (pace.test_p95, (WORLD, took(*[3] * 18, 11, 11), LIMITS), "p95 11 min"),
}
# fmt: on

# Neither held nor broken: what would be claimed over nothing, or cannot be told.
# fmt: off
UNTOLD: dict[str, tuple[Callable[..., None], tuple[Any, ...], type[Exception]]] = {
    "reaches-production, no targets": (health.test_reaches_production, (FIRST, Reaches(())), NotApplicable),
    "clock-true, a slow line": (health.test_clock_true, (FIRST, Clock("prod-1", -40, 40, ("chronyd",)), LIMITS), Unseen),
    "secrets-present, none wanted": (masking.test_secrets_present, (world(secrets=()), secrets()), NotApplicable),
    "environment-only, none wanted": (masking.test_environment_only, (world(secrets=()), secrets()), NotApplicable),
    "environment-only, none there": (masking.test_environment_only, (WORLD, secrets("")), NotApplicable),
    "environment-guarded, nothing required": (masking.test_environment_guarded, (world(environment=Wanted("production", ())), guarded()), NotApplicable),
    "environment-guarded, bypass unknown": (masking.test_environment_guarded, (WORLD, guarded(admins_bypass=None)), Unseen),
    "one-lock, varying": (serialization.test_one_lock, (WORLD, files(), jobs(files(deploy=deploy_file(concurrency="${{ vars.LOCK }}")))), Unseen),
    "never-cut, an expression": (serialization.test_never_cut, (WORLD, files(deploy=deploy_file(concurrency={"group": "production", "cancel-in-progress": "${{ vars.CUT }}"}))), Unseen),
    "standby-approved, declared away": (failover.test_standby_approved, (world(failover=Failover("none", "r", "OPS-1", TODAY)), TODAY), NotApplicable),
    "standby-ready, none approved": (failover.test_standby_ready, (WORLD, ()), NotApplicable),
    "reachable-by-job, declared away": (failover.test_reachable_by_job, (world(failover=Failover("none", "r", "OPS-1", TODAY)), TODAY, WORLD.runners, ()), NotApplicable),
    "reachable-by-job, none approved": (failover.test_reachable_by_job, (WORLD, TODAY, (FIRST,), jobs(files())), NotApplicable),
    "reachable-by-job, an expression": (failover.test_reachable_by_job, (WORLD, TODAY, WORLD.runners, jobs(files(deploy=deploy_file(runs_on="${{ inputs.x }}")))), Unseen),
    "strangers-excluded, nobody registered": (failover.test_strangers_excluded, (WORLD, WORLD.runners, Registrations(()), jobs(files())), NotApplicable),
    "strangers-excluded, nobody approved": (failover.test_strangers_excluded, (WORLD, (), registrations(), jobs(files())), Unseen),
    "choice-binds, nobody approved": (failover.test_choice_binds, (WORLD, ()), NotApplicable),
    "last-good-known, the first release": (rollback.test_last_good_known, (WORLD, record(deployments=(deployment(1, OLD),), complete=True)), NotApplicable),
    "last-good-known, cut": (rollback.test_last_good_known, (WORLD, record(deployments=(deployment(1, OLD),))), Unseen),
    "path-alive, nobody approved": (rollback.test_path_alive, (WORLD, files(), ()), Unseen),
    "p95, too few": (pace.test_p95, (WORLD, took(*[3] * 9), LIMITS), Unseen),
    "p95, none": (pace.test_p95, (WORLD, took(), Limits(deploy_samples=0)), Unseen),
}
# fmt: on


@pytest.mark.parametrize("name", HOLDS)
def test_it_holds(name: str) -> None:
    check, facts = HOLDS[name]
    check(*facts)


@pytest.mark.parametrize("name", BREAKS)
def test_it_breaks_and_says_what_it_saw(name: str) -> None:
    check, facts, says = BREAKS[name]
    with pytest.raises(AssertionError) as broken:
        check(*facts)
    assert says in str(broken.value)


@pytest.mark.parametrize("name", UNTOLD)
def test_it_claims_nothing(name: str) -> None:
    check, facts, kind = UNTOLD[name]
    with pytest.raises(kind):
        check(*facts)


def test_every_check_of_these_modules_stands_in_the_tables() -> None:
    """The checks that were here when the tables were written; those that came later have tables of their own."""
    held = {check for check, _ in HOLDS.values()}
    assert held == {check for check, _, _ in BREAKS.values()}
    assert len(held) == 23
