"""The catalogue: eight promises on one screen, and `verifies`, which ties a check to the promise it proves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import pytest

Test = TypeVar("Test", bound=Callable[..., None])


@dataclass(frozen=True)
class Guarantee:
    """A promise about production. `slug` is the first half of its checks' ids."""

    slug: str
    promise: str


RUNNER_HEALTH = Guarantee("runner-health", "The runner that takes the deploy can finish it.")
SECRET_MASKING = Guarantee("secret-masking", "No production secret is readable outside the job that needs it.")
SERIALIZATION = Guarantee("serialization", "Production changes one deploy at a time.")
FAILOVER = Guarantee(
    "failover", "Losing the primary costs minutes, never a deploy, and never hands production to a stranger."
)
ROLLBACK = Guarantee("rollback", "The last good release is one command away.")
PACE = Guarantee("pace", "A deploy takes ten minutes; a broken runner is noticed in five.")
MONITORING = Guarantee("monitoring", "Someone is told when one of these breaks between gates.")
RECORDS = Guarantee("records", "What the documents say is what is true.")


def verifies(
    guarantee: Guarantee,
    slug: str,
    *,
    severity: Literal["blocks", "warns"],
    when: Literal["quick", "nightly", "drill"],
    remedy: str,
    per: Literal["production", "runner"] = "production",
    rollback: bool = False,
    waivable: bool = True,
) -> Callable[[Test], Test]:
    """Marks a test as the check `guarantee/slug`.

    `when`: the quick profile owes only quick checks, the nightly one owes all but drills, which act on the world and are
    judged with `--drill` alone. `rollback`: owed by that profile too.
    `per="runner"`: judged once for every approved runner, and decides whether that runner is fit; the test takes `runner`.
    `remedy`: what to type; `{argument.attribute}` is filled, shell-quoted, from the test's own arguments.
    The result is an ordinary marker, so `-m "guarantee(severity='blocks')"` selects.
    """
    mark: Any = pytest.mark.guarantee(
        id=f"{guarantee.slug}/{slug}",
        of=guarantee.slug,
        promise=guarantee.promise,
        severity=severity,
        when=when,
        per=per,
        rollback=rollback,
        waivable=waivable,
        remedy=remedy,
    )
    return lambda test: mark(test)
