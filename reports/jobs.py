"""Which jobs were judged as production's, and why: people must be able to see that the right ones were."""

from __future__ import annotations

from dataclasses import dataclass

from fixtures.facts.context import Context
from fixtures.facts.seen import Unseen
from fixtures.facts.workflows import Workflows


@dataclass(frozen=True)
class Jobs:
    """`rows` are place and reason. `because` is why there are none; "" where the run asked for no workflow file."""

    rows: tuple[tuple[str, str], ...] = ()
    because: str = ""


def jobs(files: Workflows | None, world: Context) -> Jobs:
    if files is None:
        return Jobs()
    try:
        found = files.production(world)
    except Unseen as unseen:
        return Jobs((), str(unseen))
    if not found:
        return Jobs((), f"no job of {len(files.files)} workflow files")
    return Jobs(
        tuple((job.place, job.because if job.sure else f"it is not known whether {job.because}") for job in found)
    )
