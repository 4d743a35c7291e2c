"""No production secret is readable outside the job that needs it."""

from __future__ import annotations

from checks.guarantees import SECRET_MASKING, verifies
from fixtures.facts.context import Context
from fixtures.facts.environment import Environment, SecretNames
from fixtures.facts.seen import NotApplicable


@verifies(
    SECRET_MASKING,
    "secrets-present",
    severity="blocks",
    when="quick",
    remedy="gh secret set NAME --env {world.environment.name} --repo {world.github.repository}",
)
def test_secrets_present(world: Context, secret_names: SecretNames) -> None:
    """Every secret the deploy needs exists in the production environment."""
    if not world.secrets:
        raise NotApplicable("the context names no secrets")
    missing = secret_names.missing(world.secrets)
    assert not missing, f"environment {world.environment.name} lacks {', '.join(missing)}"


@verifies(
    SECRET_MASKING,
    "environment-only",
    severity="blocks",
    when="quick",
    remedy="gh secret delete NAME --repo {world.github.repository}",
)
def test_environment_only(world: Context, secret_names: SecretNames) -> None:
    """No production secret exists also where jobs outside the environment can read it."""
    if not world.secrets:
        raise NotApplicable("the context names no secrets")
    elsewhere = secret_names.elsewhere(world.secrets)
    assert not elsewhere, f"readable outside {world.environment.name}: {', '.join(elsewhere)}"


@verifies(
    SECRET_MASKING,
    "environment-guarded",
    severity="blocks",
    when="quick",
    remedy="gh browse --settings --repo {world.github.repository}",
)
def test_environment_guarded(world: Context, environment: Environment) -> None:
    """The controls that the context requires of the environment are in force."""
    if not world.environment.requires:
        raise NotApplicable("the context requires no control of the environment")
    lacking = [fault for control in world.environment.requires if (fault := environment.lacks(control))]
    assert not lacking, f"{world.environment.name}: {'; '.join(dict.fromkeys(lacking))}"
