"""No production secret is readable outside the job that needs it."""

from __future__ import annotations

from datetime import date, datetime

from checks.guarantees import SECRET_MASKING, verifies
from fixtures.facts import discreet, doors
from fixtures.facts.audited import Audited
from fixtures.facts.canary import Canaries
from fixtures.facts.context import Context, Runner
from fixtures.facts.credentials import Credentials
from fixtures.facts.environment import Environment, SecretNames
from fixtures.facts.finding import settled, told
from fixtures.facts.joblogs import JobLogs
from fixtures.facts.limits import Limits
from fixtures.facts.logins import LoginCertificates
from fixtures.facts.residue import Residue
from fixtures.facts.seen import NotApplicable, Unseen
from fixtures.facts.settings import GateToken, SecretAges, Variables
from fixtures.facts.workflows import ProductionJob, Workflows


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


@verifies(
    SECRET_MASKING,
    "secrets-fresh",
    severity="warns",
    when="nightly",
    remedy="gh secret set NAME --env {world.environment.name} --repo {world.github.repository}",
)
def test_secrets_fresh(world: Context, secret_ages: SecretAges, limits: Limits) -> None:
    """No production secret is older than its limit, or near the end that the context declares."""
    faults = secret_ages.faults(limits.secret_age, world.secrets_end, limits.credential_left)
    assert not faults, "; ".join(faults)


@verifies(
    SECRET_MASKING,
    "token-lasts",
    severity="warns",
    when="quick",
    remedy="give the gate a read-only token that lasts (github.token or github.app in {world.path})",
)
def test_token_lasts(world: Context, gate_token: GateToken, limits: Limits) -> None:
    """The gate's own token lasts, and may not write."""
    assert not gate_token.faults(limits.token_left), f"{gate_token}: {'; '.join(gate_token.faults(limits.token_left))}"


@verifies(
    SECRET_MASKING,
    "login-lasts",
    severity="warns",
    when="quick",
    remedy="have the certificates named above signed anew; which are offered: ssh -v {world.primary.host} true",
)
def test_login_lasts(world: Context, login_certificates: LoginCertificates, limits: Limits) -> None:
    """The SSH certificates that the gate logs in with last."""
    faults = login_certificates.faults(limits.token_left)
    assert not faults, "; ".join(faults)


@verifies(
    SECRET_MASKING,
    "credentials-last",
    severity="warns",
    when="nightly",
    per="runner",
    remedy="renew on {runner.host} what is named above",
)
def test_credentials_last(
    world: Context, runner: Runner, credentials: Credentials, now: datetime, limits: Limits
) -> None:
    """No certificate and no JWT that lies on the host ends soon."""
    faults = credentials.faults(runner, world.hosts.credentials, now, limits.credential_left)
    assert not faults, f"on {runner}: {'; '.join(faults)}"


@verifies(
    SECRET_MASKING,
    "debug-off",
    severity="blocks",
    when="quick",
    remedy="gh variable delete ACTIONS_STEP_DEBUG --repo {world.github.repository}",
)
def test_debug_off(world: Context, variables: Variables, secret_names: SecretNames) -> None:
    """Neither ACTIONS_STEP_DEBUG nor ACTIONS_RUNNER_DEBUG is on."""
    on = variables.debugging(secret_names)
    assert not on, f"on: {', '.join(on)}"


@verifies(
    SECRET_MASKING,
    "variables-innocent",
    severity="blocks",
    when="nightly",
    remedy="gh secret set NAME --env {world.environment.name} --repo {world.github.repository}; gh variable delete NAME --repo {world.github.repository}",
)
def test_variables_innocent(world: Context, variables: Variables) -> None:
    """No Actions variable looks like a credential."""
    assert not variables.suspects(), "; ".join(variables.suspects())


@verifies(
    SECRET_MASKING,
    "workflows-discreet",
    severity="blocks",
    when="quick",
    remedy="change the steps named above, then rotate what was printed",
)
def test_workflows_discreet(world: Context, workflows: Workflows) -> None:
    """No workflow prints secrets, or hands all of them to another repository."""
    if not workflows.files:
        raise NotApplicable("the repository has no workflow files")
    found = settled(discreet.printed(workflows))
    assert not found, told(found)


@verifies(
    SECRET_MASKING,
    "forks-kept-out",
    severity="blocks",
    when="quick",
    remedy="take the approved runners' labels from the jobs named above",
)
def test_forks_kept_out(world: Context, workflows: Workflows, approved: tuple[Runner, ...]) -> None:
    """No event that an outsider controls can start a job on an approved runner."""
    if not workflows.files:
        raise NotApplicable("the repository has no workflow files")
    if not approved:
        raise NotApplicable("no runner is approved")
    found = settled(doors.forks(workflows, world, approved))
    assert not found, told(found)


@verifies(
    SECRET_MASKING,
    "workflows-audited",
    severity="warns",
    when="nightly",
    remedy=".venv/bin/zizmor --offline --persona auditor .github/workflows",
)
def test_workflows_audited(world: Context, audit: Audited) -> None:
    """zizmor finds nothing of weight in the workflow files of production."""
    assert not audit.findings, told(audit.findings)


@verifies(
    SECRET_MASKING,
    "token-least",
    severity="warns",
    when="quick",
    remedy="write at the top of the files named above: permissions: {{contents: read}}",
)
def test_token_least(world: Context, workflows: Workflows, production_jobs: tuple[ProductionJob, ...]) -> None:
    """Workflows with production jobs say what their token may do, and it is not everything."""
    workflows.deploys(world)
    found = settled(doors.wide_tokens(production_jobs))
    assert not found, told(found)


@verifies(
    SECRET_MASKING,
    "host-keeps-none",
    severity="blocks",
    when="nightly",
    per="runner",
    remedy="remove what is named above from {runner.host}, and change that secret: who ran there could read it",
)
def test_host_keeps_none(runner: Runner, residue: Residue) -> None:
    """No place on the host that outlives a job holds a secret: settings, logs, left scripts, git settings, history."""
    assert not residue.hits, f"on {runner}: {residue}"
    if residue.blind:
        raise Unseen(
            f"what lies about on {runner}: {', '.join(residue.blind)} cannot be read", "README, the privilege table"
        )


@verifies(
    SECRET_MASKING,
    "canary-masked",
    severity="blocks",
    when="nightly",
    per="runner",
    remedy="gh workflow run {world.canary.workflow} --repo {world.github.repository}; what it shows in clear: update the runner on {runner.name}",
)
def test_canary_masked(world: Context, canaries: Canaries, runner: Runner, limits: Limits) -> None:
    """The last canary on the runner showed every form that a runner promises to mask as ***."""
    fault = canaries.fault(runner.name, limits.canary_age)
    assert not fault, fault


@verifies(
    SECRET_MASKING,
    "logs-clean",
    severity="blocks",
    when="nightly",
    remedy="make the secrets anew that are named above, then: gh api -X DELETE repos/{world.github.repository}/actions/runs/RUN/logs",
)
def test_logs_clean(world: Context, job_logs: JobLogs, today: date) -> None:
    """No secret and no canary stands in the logs of the last production runs."""
    leaks = job_logs.open(world.accepted_leaks, today)
    assert not leaks, "; ".join(map(repr, leaks))
