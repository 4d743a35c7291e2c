"""Concurrency groups: who holds one, who waits, and who is cancelled, over the runs and jobs of the world.

As GitHub's (github-api.md 2): one holder a group, whatever the case of its name; runs, jobs and reusable workflows share
one namespace. With `single` a newcomer takes the place of whoever waits, who is cancelled; with `max` up to a hundred
wait, and whoever comes then is cancelled. `cancel-in-progress` cancels the holder too. First come, first served, by when
each began to wait. A lease that its own run holds already is never given: that is a deadlock, and GitHub cancels it.

What is not known of GitHub: whether a job that waits for an approval holds its lease. Here it does.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from lab.github.world import Call, Job, Run, World

MOST_WAITING = 100
TURNS = itertools.count(1)
"""When each came to wait; one count for all worlds, since a world is laid anew with every fault."""
HIGHER = "Canceling since a higher priority waiting request for '{group}' exists"
DEADLOCK = (
    "Canceling since a deadlock was detected for concurrency group: '{group}' between a top level workflow and '{name}'"
)


@dataclass(frozen=True)
class Block:
    """What a file asks for, evaluated. `queue` is GitHub's default where the file says nothing."""

    group: str
    cancel: bool = False
    queue: Literal["single", "max"] = "single"


@dataclass
class Member:
    """One that has or wants a group: a run, one of its calls, or one of its jobs."""

    run: Run
    job: Job | None = None
    call: Call | None = None

    @property
    def thing(self) -> Run | Call | Job:
        return self.job or self.call or self.run

    @property
    def name(self) -> str:
        return self.job.name if self.job else self.call.name if self.call else self.run.path

    @property
    def held(self) -> bool:
        return self.thing.lease == "held"


@dataclass(frozen=True)
class Cancelled:
    """Who loses its place, and GitHub's words for why."""

    member: Member
    because: str


def everybody(world: World) -> Iterator[Member]:
    for run in world.runs:
        if run.lease:
            yield Member(run)
        for call in run.calls():
            if call.lease:
                yield Member(run, call=call)
        for job in run.jobs():
            if job.lease:
                yield Member(run, job)


def members(world: World, group: str) -> list[Member]:
    """The holder first, then those who wait, in their order. Names do not mind their case."""
    found = [member for member in everybody(world) if member.thing.lock.casefold() == group.casefold()]
    return sorted(found, key=lambda it: (not it.held, it.thing.turn, it.thing.created, it.thing.id))


def ask(world: World, member: Member, block: Block) -> list[Cancelled]:
    """The member asks for the group: afterwards it holds it, waits, or is among those who are cancelled.

    Those are without a lease already; ending them, and whatever they held elsewhere, is the caller's part.
    """
    there = members(world, block.group)
    thing = member.thing
    thing.lock = block.group
    mine = next((it for it in there if it.run is member.run and it.thing is not thing and _above(it, member)), None)
    if mine is not None:
        return [Cancelled(member, DEADLOCK.format(group=block.group, name=member.name))]
    waiting = [it for it in there if not it.held]
    out: list[Member] = []
    if block.queue == "max" and len(waiting) >= MOST_WAITING:
        return [Cancelled(member, HIGHER.format(group=block.group))]
    if block.queue == "single" or block.cancel:
        out += waiting
    if block.cancel:
        out += [it for it in there if it.held]
    for it in out:
        it.thing.lease = ""
    thing.turn = next(TURNS)
    thing.lease = "pending" if any(it.held for it in there if it not in out) else "held"
    return [Cancelled(it, HIGHER.format(group=block.group)) for it in out]


def _above(holder: Member, member: Member) -> bool:
    """Whether a lease is of the run, or of the call, that the member itself is a part of."""
    if holder.job is not None or (member.job is None and member.call is None):
        return False
    if holder.call is None:
        return True
    # A call has two locks at most, the calling job's and the called file's, under one name.
    return (member.call is not None and member.name == holder.name) or member.name.startswith(f"{holder.name} / ")


def release(world: World, thing: Run | Call | Job) -> list[Member]:
    """It gives its lease back, or its place in the queue; those who hold the group now, and did not before."""
    held, group = thing.lease == "held", thing.lock
    thing.lease = ""
    if not held:
        return []
    there = members(world, group)
    if not there or there[0].held:
        return []
    there[0].thing.lease = "held"
    return there[:1]
