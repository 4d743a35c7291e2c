"""What a watch makes of what it saw: ends, troubles with their causes, and what must be no trouble."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from fixtures.facts import sights
from fixtures.facts.seen import NotApplicable, Unseen
from fixtures.facts.sights import Gap, HostSight, Proc, Sight
from fixtures.facts.watched import watched
from tests import worlds
from tests.watches import (
    OFFLINE,
    POOL,
    START,
    UNIT_SAYS,
    away,
    blind,
    found,
    gate,
    host,
    job,
    looks,
    sight,
    story,
    worn,
)

DEAD: dict[str, Any] = {"unit": "inactive", "unit_says": UNIT_SAYS}
LISTENER, WORKER = Proc(68, "S", 90_000.0), Proc(99, "S", 60.0)


def test_a_job_that_succeeds_is_held() -> None:
    end = found(sight(0, job("queued")), sight(15, job()), sight(60, job("completed"), status="completed"))
    assert (end.word, end.runner) == ("held", "prod-1") and end.over
    assert end.says == "'Deploy' (job 7) succeeded on prod-1 in 1 min"


@pytest.mark.parametrize(("waited", "word"), [(179, "watching"), (180, "broken"), (3600, "broken")])
def test_a_job_that_nobody_takes_is_told_after_three_minutes(waited: float, word: str) -> None:
    last = found(sight(0, job("queued")), sight(waited, job("queued"), pool=OFFLINE))
    assert last.word == word
    if word == "broken":
        assert (last.cause, last.certain) == ("not-taken", True)
        assert "no runner that matches is online (prod-1)" in last.says
        assert last.try_ == (
            "gh run cancel 1 --repo acme/widgets; gh workflow run deploy-production.yml --repo acme/widgets --ref main"
        )
        assert last.late == waited


@pytest.mark.parametrize(
    ("pool", "why"),
    [
        ((), "no registered runner matches"),
        (OFFLINE, "no runner that matches is online"),
        ((worn(busy=True),), "all that match are busy"),
        (POOL, "prod-1 matches and is idle, so GitHub does not assign it"),
        (None, "why could not be seen"),
    ],
)
def test_why_nobody_takes_it(pool: Any, why: str) -> None:
    assert why in found(sight(200, job("queued"), pool=pool)).says


@pytest.mark.parametrize("status", ["waiting", "pending", "requested"])
def test_what_waits_for_an_approval_or_the_lock_waits_for_no_runner(status: str) -> None:
    hours = found(sight(0, job(status)), sight(9000, job(status), pool=OFFLINE))
    assert hours.word == "watching"
    # Approved after 9000 s: only from then on a runner is waited for.
    told = [sight(0, job(status)), sight(9000, job(status)), sight(9015, job("queued")), sight(9100, job("queued"))]
    assert found(*told).word == "watching"
    assert found(*told, sight(9196, job("queued"), pool=OFFLINE)).cause == "not-taken"


def test_what_is_queued_by_a_lock_waits_for_no_runner() -> None:
    locked = job("queued", locked=True)
    assert "waits for the lock" in found(sight(0, job("queued")), sight(1000, locked)).says
    then = found(sight(0, job("queued")), sight(1000, locked), sight(1015, job("queued")), sight(1100, job("queued")))
    assert then.word == "watching"


def test_a_job_made_before_its_approval_counts_from_the_record() -> None:
    assert found(sight(500, job("queued", since=400.0), pool=OFFLINE)).word == "watching"
    assert found(sight(600, job("queued", since=400.0), pool=OFFLINE)).word == "broken"


def test_a_gate_that_nobody_picks_up_is_told() -> None:
    end = found(sight(0, gate()), sight(181, gate(), pool=POOL))
    assert (end.word, end.cause, end.certain) == ("broken", "gate-not-taken", True)
    assert "the gate itself" in end.says and "no registered runner matches" in end.says
    assert found(sight(0, gate()), sight(181, gate("in_progress"), pool=POOL)).word == "watching"


def test_other_jobs_may_wait_as_long_as_they_like() -> None:
    other = replace(job("queued"), id=9, role="other")
    assert found(sight(0, other, job()), sight(5000, other, job())).word == "watching"


@pytest.mark.parametrize(
    ("runner", "group"), [("build-1", "Default"), ("prod-1", "GitHub Actions"), ("prod-1", "elsewhere"), ("prod-1", "")]
)
def test_a_stranger_is_told_at_once(runner: str, group: str) -> None:
    end = found(sight(1, job(runner=runner, group=group)))
    assert (end.word, end.cause, end.certain) == ("broken", "stranger", True)
    assert f"was taken by {runner}" in end.says
    ended = found(sight(90, job("completed", runner=runner, group=group), status="completed"))
    assert ended.cause == "stranger", "also where it succeeded"


def test_the_standby_is_no_stranger_and_case_does_not_matter() -> None:
    assert found(sight(1, job(runner="PROD-2", group="Production"))).word == "watching"


SICK = {
    "service-dead": host(**DEAD),
    "listener-gone": host(listeners=()),
    "listener-stopped": host(listeners=(replace(LISTENER, state="T"),)),
    "worker-orphaned": host(workers=(replace(WORKER, orphan=True),)),
    "worker-stopped": host(workers=(replace(WORKER, state="t"),)),
    "worker-gone": host(workers=()),
    "hangs": host(hang="its log ends in Acknowledging"),
    "disk-full": host(full=("/work has 0 B (0 %) free, writable",)),
    "disk-read-only": host(full=("/work has 5 GiB (50 %) free, READ-ONLY",)),
}


@pytest.mark.parametrize("cause", SICK)
def test_a_runner_that_dies_under_its_job_is_told_after_two_looks(cause: str) -> None:
    one = found(*looks(host(), host(), SICK[cause]))
    assert one.word == "watching", "one look may have met a relaunch"
    two = found(*looks(host(), host(), SICK[cause], SICK[cause]))
    assert (two.word, two.cause, two.certain, two.runner) == ("broken", cause, True, "prod-1")
    assert two.late == 60, "from the last look in which it was well"
    assert found(*looks(host(), SICK[cause], host())).word == "watching", "it came back"
    assert found(*looks(host(), SICK[cause], host(), SICK[cause])).word == "watching"


def test_signs_of_one_death_need_not_be_the_same() -> None:
    end = found(*looks(host(), SICK["listener-gone"], SICK["service-dead"]))
    assert end.cause == "service-dead" and UNIT_SAYS in end.says


def test_a_lease_that_is_renewed_no_more_is_lost() -> None:
    stale = looks(*[host(renewed=20.0)] * 8, host(renewed=200.0), host(renewed=230.0))
    assert found(*stale).cause == "lease-lost" and "renewed last 230 s ago" in found(*stale).says
    never = looks(*[host(renewed=-1.0)] * 8)
    assert found(*never).cause == "lease-lost"
    assert found(*looks(*[host(renewed=-1.0)] * 5)).word == "watching", "a young job had no reason to renew yet"


def test_a_worker_is_missed_only_once_the_job_had_time_to_start_one() -> None:
    assert (
        found(sight(5, job(), hosts=(host(workers=()),)), sight(20, job(), hosts=(host(workers=()),))).word
        == "watching"
    )


def test_a_host_that_was_started_anew_is_named_as_such() -> None:
    young = host(workers=(), listeners=(Proc(12, "S", 10.0),))
    assert "was started anew" in found(*looks(host(), host(), host(), young, young)).says


def test_a_host_that_is_gone_is_certain_with_githubs_word() -> None:
    told = looks(host(), away(), away(), pool=OFFLINE)
    end = found(*told)
    assert (end.cause, end.certain) == ("host-unreachable", True) and "GitHub calls its runner offline" in end.says


def test_a_host_that_does_not_answer_while_github_sees_its_runner_is_no_death() -> None:
    told = looks(host(), *[away()] * 9, pool=POOL)
    assert found(*told).word == "watching", "it may be our own way to it"
    other = HostSight("prod-2", "answered")
    told = [replace(s, hosts=(*s.hosts, other)) for s in told]
    end = found(*told)
    assert (end.word, end.cause, end.certain) == ("broken", "host-unreachable", False)
    assert end.try_.startswith("ssh prod-1 true; ")
    assert found(*told[:4]).word == "watching", "not before it has lasted"
    moved = job(moved=200.0)
    assert found(*[replace(s, jobs=(moved,)) for s in told]).word == "watching", "a step has moved: the job goes on"


@pytest.mark.parametrize("reach", ["auth", "config", "unresolved", "jump", "host-key", "garbage"])
def test_what_keeps_us_from_a_host_is_no_death_of_it(reach: Any) -> None:
    told = [
        replace(s, hosts=(*s.hosts, HostSight("prod-2", "answered"))) for s in looks(*[away(reach)] * 12, pool=POOL)
    ]
    assert found(*told).word == "watching"


def test_offline_takes_two_lists_and_is_certain_once_it_lasts() -> None:
    told = [sight(15.0 * n, job(), pool=POOL if n < 2 else OFFLINE) for n in range(12)]
    assert found(*told[:3]).word == "watching", "a single list flaps"
    assert (found(*told[:4]).cause, found(*told[:4]).certain) == ("offline", False)
    assert found(*told).certain and "offline, 2 min" not in found(*told).says
    flaps = [sight(15.0 * n, job(), pool=OFFLINE if n % 2 else POOL) for n in range(12)]
    assert found(*flaps).word == "watching"


def test_a_runner_that_is_not_registered_any_more_is_away() -> None:
    told = [sight(15.0 * n, job(), pool=(worn("prod-2"),)) for n in range(3)]
    assert "not registered any more" in found(*told).says


def test_offline_while_its_host_renews_is_never_certain() -> None:
    told = looks(*[host(renewed=10.0)] * 12, pool=OFFLINE)
    end = found(*told)
    assert (end.cause, end.certain) == ("offline", False) and "renewed the job's lease 10 s ago" in end.says


def test_a_kill_for_memory_is_a_doubt_and_the_cause_of_a_death() -> None:
    kill = host(killed=1, memory_says="1 of its processes were killed")
    alone = found(*looks(host(), kill, kill))
    assert (alone.cause, alone.certain) == ("out-of-memory", False)
    dead = found(*looks(host(), replace(kill, **DEAD), replace(kill, **DEAD)))
    assert (dead.cause, dead.certain) == ("out-of-memory", True) and UNIT_SAYS in dead.says
    counted = found(*looks(host(counted=2), host(counted=2), host(counted=3)))
    assert counted.cause == "out-of-memory", "what has no time counts from the first look"
    assert found(*looks(host(counted=2), host(counted=2))).word == "watching"


def test_what_its_log_says_is_a_doubt() -> None:
    said = host(critical=("REG-DELETED at …",))
    end = found(*looks(host(), said, said))
    assert (end.cause, end.certain) == ("said-so-itself", False)


def failed(**changes: Any) -> Any:
    return job("completed", conclusion="failure", ended=100.0, step="Verify", **changes)


def test_a_job_that_fails_on_a_runner_that_lives_fails_by_itself() -> None:
    end = found(*looks(host()), sight(105, failed(), status="completed", hosts=(host(workers=()),), pool=POOL))
    assert (end.word, end.cause) == ("failed", "own-failure")
    assert end.says == "'Deploy' (job 7) failed by itself, at 'Verify' (failure); its runner prod-1 lived"
    assert watched(story(sight(105, failed(), status="completed")), worlds.world()).well


@pytest.mark.parametrize(
    ("changes", "last", "cause"),
    [
        (
            {"notes": ("The self-hosted runner: prod-1 lost communication with the server.",)},
            host(workers=()),
            "lost-communication",
        ),
        ({"notes": ("The runner has received a shutdown signal.",)}, host(workers=()), "service-stopped"),
        ({"cut": True}, host(workers=()), "cut-off"),
        ({}, host(workers=(), **DEAD), "service-dead"),
        ({}, host(workers=(), listeners=()), "listener-gone"),
        ({}, host(workers=(), full=("/work has 0 B free, writable",)), "disk-full"),
        ({}, host(workers=(), killed=2, memory_says="2 were killed"), "out-of-memory"),
        ({}, host(workers=(), counted=1), "out-of-memory"),
    ],
)
def test_a_job_that_its_runner_took_along_is_told_from_one_that_failed(
    changes: Any, last: HostSight, cause: str
) -> None:
    end = found(*looks(host()), sight(105, failed(**changes), status="completed", hosts=(last,), pool=POOL))
    assert (end.word, end.cause, end.certain) == ("broken", cause, True)
    assert end.try_ == "gh workflow run deploy-production.yml --repo acme/widgets --ref main", "it is over: no cancel"


def test_a_job_that_failed_unseen_is_unknown() -> None:
    gaps = (Gap("notes", "GitHub's annotations: it answered 403, the token lacks checks=read", "give it"),)
    end = found(sight(105, failed(), status="completed", gaps=gaps))
    assert (end.word, end.cause) == ("unknown", "runner-unseen") and "checks=read" in end.says
    assert found(sight(105, failed(), status="completed")).word == "failed", "the record said nothing else"


@pytest.mark.parametrize(
    ("one", "word", "cause"),
    [
        (job("completed", conclusion="cancelled", runner="", group="", began=0.0), "nothing", "cancelled"),
        (job("completed", conclusion="skipped", runner="", group=""), "nothing", "skipped"),
        (job("completed", conclusion="cancelled"), "failed", "cancelled"),
        (
            job("completed", conclusion="failure", runner="", group="", notes=("There were no enabled runners online to process the request for more than 1 days.",)),
            "broken",
            "not-taken",
        ),
    ],
)  # fmt: skip
def test_a_run_that_is_over_is_judged_by_the_record(one: Any, word: str, cause: str) -> None:
    end = found(sight(100, one, status="completed"))
    assert (end.word, end.cause) == (word, cause)


def test_a_run_whose_gate_held_has_nothing_to_watch() -> None:
    end = found(sight(100, gate("completed", conclusion="failure"), status="completed", conclusion="failure"))
    assert end.word == "nothing" and "no job of it that changes production ran" in end.says
    with pytest.raises(NotApplicable):
        _ = watched(story(sight(100, status="completed")), worlds.world()).well


def test_a_run_that_is_run_again_is_a_run_of_its_own() -> None:
    first = [*looks(host(), SICK["service-dead"]), sight(70, failed(), status="completed")]
    again = [sight(100, job("queued", id=8, since=95.0), attempt=2), sight(120, job(id=8, began=110.0), attempt=2)]
    end = found(*first, *again)
    assert (end.word, end.job) == ("watching", 8), "the first attempt's death is not this one's"


def test_two_deploys_in_one_run_are_both_watched() -> None:
    one, two = job("completed"), job(id=8, name="Migrate")
    assert found(sight(60, one, two)).word == "watching"
    assert found(sight(200, one, replace(job("queued"), id=8), pool=OFFLINE)).cause == "not-taken"
    both = found(sight(60, one, failed(id=8), status="completed"))
    assert both.word == "failed", "the worst of them"


def test_without_githubs_half_it_is_unknown_once_it_lasts() -> None:
    assert found(sight(0, job()), blind(100)).word == "watching"
    assert "as seen 100 s ago" in found(sight(0, job()), blind(100)).says
    end = found(sight(0, job()), blind(100), blind(121))
    assert (end.word, end.cause, end.try_) == ("unknown", "github-unseen", "see its status")
    assert found(blind(0), blind(100)).word == "watching"
    assert found(blind(0, "run 1: GitHub knows no such run", final=True)).word == "unknown"
    assert found().word == "unknown"


def test_what_nobody_can_say_is_never_well() -> None:
    world = worlds.world()
    for sights_ in ((), (blind(0), blind(500)), (sight(0, job()),)):
        with pytest.raises(Unseen) as why:
            _ = watched(story(*sights_), world).well
        assert why.value.try_
    waits = story(sight(0, job("waiting")), sight(4000, job("waiting")), ended="patience")
    with pytest.raises(NotApplicable, match="waits for an approval"):
        _ = watched(waits, world).well


@pytest.mark.parametrize("section", ["unit", "processes", "diag", "disks", "memory"])
@pytest.mark.parametrize("cause", SICK)
def test_what_a_section_did_not_tell_is_no_sign(section: str, cause: str) -> None:
    """Neither of health nor of death: the other sections, and GitHub, go on telling."""
    without = replace(SICK[cause], told=tuple(t for t in SICK[cause].told if t != section))
    end = found(*looks(host(), without, without))
    of = {"service-dead": "unit", "hangs": "diag", "disk-full": "disks", "disk-read-only": "disks"}
    assert end.word == ("watching" if of.get(cause, "processes") == section else "broken")


def test_a_story_survives_json() -> None:
    whole = story(
        *looks(host(), away()), sight(99, gate(), failed(), pool=POOL), blind(120), cancelled="run 1 was cancelled"
    )
    assert sights.parse(json.loads(json.dumps(dataclasses.asdict(whole)))) == whole


ONE = json.loads(json.dumps(dataclasses.asdict(story(sight(1, job(), pool=POOL, hosts=(host(),)), blind(2)))))


def paths(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(path for key, item in inner for path in paths(item, (*at, key)))]


@pytest.mark.parametrize("path", paths(ONE)[1:], ids=lambda path: ".".join(map(str, path)))
def test_a_story_with_a_field_of_another_kind_is_no_story(path: tuple[Any, ...]) -> None:
    wrongs: tuple[Any, ...] = (None, {"a": []}, float("nan"), True)
    for wrong in wrongs:
        spoilt = json.loads(json.dumps(ONE))
        place = spoilt
        for key in path[:-1]:
            place = place[key]
        if type(place[path[-1]]) is type(wrong):
            continue
        place[path[-1]] = wrong
        with pytest.raises(Unseen, match="is not as it is written down"):
            sights.parse(spoilt)


def test_no_field_of_a_look_is_needed_to_stay_upright() -> None:
    """Each number of a look made odd: the judge says something, and never that a deploy went well."""
    for at in (0.0, START, 2e11):
        for began in (0.0, START, 2e11):
            one = replace(job(), began=began)
            end = found(replace(sight(0, one, hosts=(host(),), pool=POOL), at=at))
            assert end.word == "watching" or end.word == "broken"


def test_text_of_strangers_cannot_steer_a_terminal() -> None:
    assert (
        sights.plain("De\x1b[31mploy\n\u202e rm -rf")
        == "De\N{REPLACEMENT CHARACTER}[31mploy \N{REPLACEMENT CHARACTER} rm -rf"
    )
    assert len(sights.plain("x" * 9999)) == sights.MOST_TEXT


def test_a_ref_with_shell_in_it_is_one_word() -> None:
    worst = story(sight(200, job("queued"), pool=POOL), ref="main; rm -rf /")
    assert "--ref 'main; rm -rf /'" in watched(worst, worlds.world()).finding.try_


def test_a_rollback_is_sent_again_with_its_release() -> None:
    back = story(sight(200, job("queued"), pool=POOL), path=worlds.ROLLBACK)
    assert watched(back, worlds.world()).finding.try_.endswith(
        "gh workflow run rollback.yml --repo acme/widgets --ref main -f version=SHA"
    )


def test_limits_are_the_contexts() -> None:
    told = (sight(0, job("queued")), sight(20, job("queued"), pool=OFFLINE))
    assert found(*told).word == "watching"
    assert found(*told, watch_taken=timedelta(seconds=18)).word == "broken"


def test_an_empty_look_is_nothing_proved() -> None:
    assert found(Sight(START, True)).word == "watching"
