"""What is amiss with the rehearsal workflows, each by one change that people really make."""

from __future__ import annotations

from lab.github.history import REHEARSALS
from lab.github.mutate import Mutation, lock_held_by_waiting
from lab.github.mutate_files import changes

TAKEOVER, TURNS, _RETURNS = REHEARSALS

MUTATIONS: dict[str, Mutation] = {
    "rehearsal-only-primary": changes(
        TAKEOVER, r"runs-on: \$\{\{ fromJSON\([^\n]*", "runs-on: [self-hosted, prod-runner-01]"
    ),
    "canary-for-a-stranger": changes(TAKEOVER, r"runs-on: \$\{\{ fromJSON\([^\n]*", "runs-on: [self-hosted, spare]"),
    "rehearsal-lock-missing": changes(TURNS, r"    concurrency:\n(      [^\n]*\n)+", ""),
    "deploy-waits": lock_held_by_waiting,
}
