"""Artifacts that runners upload now: their bytes, kept for as long as the stand-in lives.

As GitHub's (actions/upload-artifact, version 4): a zip archive, named once a run, which cannot be changed.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from lab.github.jobs import moment
from lab.github.world import Artifact, Run, World

RETENTION_DAYS = 90
TAKEN = "an artifact with this name already exists on the workflow run"


class Conflict(ValueError):
    """A name that is taken."""


@dataclass
class Kept:
    """`next_id` gives ids as for runs and jobs."""

    next_id: Callable[[], int]
    records: dict[int, Artifact] = field(default_factory=dict)
    bodies: dict[int, bytes] = field(default_factory=dict)

    def into(self, world: World) -> None:
        world.artifacts += self.records.values()

    def upload(self, world: World, run: Run, name: str, body: bytes, days: int, overwrite: bool) -> Artifact:
        """Raises Conflict, and ValueError for what is no archive."""
        if not name or set(name) & set('\\/":<>|*?\r\n'):
            raise ValueError(f"The artifact name is not valid: {name!r}")
        if not zipfile.is_zipfile(io.BytesIO(body)):
            raise ValueError("an artifact is uploaded as a zip archive")
        if (old := self.of(run, name)) is not None:
            if not overwrite:
                raise Conflict(TAKEN)
            self.delete(world, old)
        now = moment()
        made = Artifact(
            self.next_id(), run.id, name, len(body), f"sha256:{hashlib.sha256(body).hexdigest()}", run.sha, run.branch,
            now, now + timedelta(days=min(days or RETENTION_DAYS, RETENTION_DAYS)),
        )  # fmt: skip
        self.records[made.id], self.bodies[made.id] = made, body
        world.artifacts.append(made)
        return made

    def of(self, run: Run, name: str) -> Artifact | None:
        """That of any attempt of the run: a job that is run again finds what the others left."""
        return next((it for it in self.records.values() if it.run_id == run.id and it.name == name), None)

    def all(self, run: Run) -> list[tuple[str, bytes]]:
        return [(it.name, self.bodies[it.id]) for it in self.records.values() if it.run_id == run.id]

    def delete(self, world: World, artifact: Artifact) -> None:
        world.artifacts = [it for it in world.artifacts if it.id != artifact.id]
        del self.records[artifact.id], self.bodies[artifact.id]
