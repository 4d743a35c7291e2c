"""Two hundred secrets in hosts, logs, answers, environment, context and errors; every way to run; every byte it wrote."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests import planted
from tests.gate import ROOT, GitHub, Tree, environ, github, leave_deploy, plant

PLACES = (
    "host", "answer", "environment", "context", "assertion", "error", "print", "log", "warning", "thread",
    "unseen", "property", "setup", "teardown", "locals", "import", "internal", "exit",
)  # fmt: skip
COUNT = 200
KNOWN_EVERY = 4  # the environment holds each fourth, so the suite knows it

CHECKS = '''
import base64, json, logging, os, sys, threading, warnings
from pathlib import Path
import pytest
from checks.planted import encoded
from checks.guarantees import RUNNER_HEALTH, SERIALIZATION, verifies
from fixtures.facts.seen import NotApplicable, Unseen

PLAN = json.loads(Path(os.environ["PLAN"]).read_text("utf-8"))
MODE = os.environ.get("MODE", "")


def texts(place):
    """What is planted here: a text, or every form of a value that the environment holds."""
    found = list(PLAN["texts"].get(place, ()))
    for name in PLAN["names"].get(place, ()):
        found += [f"before {form} after" for form in encoded(os.environ[name])]
    return found


def proves(slug, *, per="production", guarantee=SERIALIZATION):
    return verifies(guarantee, slug, severity="blocks", when="quick", per=per, remedy="mend {said}")


if MODE == "import":
    raise RuntimeError("\\n".join(texts("import")))


@proves("host", per="runner", guarantee=RUNNER_HEALTH)
def test_host(runner, planted):
    """Host."""
    assert not planted.text, planted


@proves("assertion")
def test_assertion():
    """Assertion."""
    said = texts("assertion")
    assert not said, "\\n".join(said)


@proves("compared")
def test_compared():
    """Compared."""
    ours = {name: os.environ[name] for names in PLAN["names"].values() for name in names}
    for value in ours.values():
        print(repr(value))
    assert ours == {}


@proves("error")
def test_error():
    """Error."""
    said = texts("error")
    try:
        raise ValueError(said)
    except ValueError as error:
        raise RuntimeError("\\n".join(said)) from error


@proves("print")
def test_print():
    """Print."""
    for text in texts("print"):
        print(text)
        print(text, file=sys.stderr)
        sys.stdout.write(text + "\\n")
        sys.stdout.buffer.write(text.encode() + b"\\n")
    sys.stdout.flush()


@proves("log")
def test_log():
    """Log."""
    for name in ("urllib3.connectionpool", "paramiko.transport", "mine", None):
        for level in (logging.DEBUG, logging.WARNING):
            for text in texts("log"):
                logging.getLogger(name).log(level, "with %s and %r", text, {"a": text})
    try:
        raise ValueError("\\n".join(texts("log")))
    except ValueError:
        logging.getLogger("mine").exception("it failed", stack_info=True)
    assert False, "so that the log is shown"


@proves("warning")
def test_warning():
    """Warning."""
    for text in texts("warning"):
        warnings.warn(text, stacklevel=1)


@proves("thread")
def test_thread():
    """Thread."""
    def fails():
        said = texts("thread")
        raise RuntimeError("\\n".join(said))
    thread = threading.Thread(target=fails)
    thread.start()
    thread.join()


@proves("unseen")
def test_unseen():
    """Unseen."""
    raise Unseen("\\n".join(texts("unseen")), "\\n".join(texts("unseen")))


@proves("not-applicable")
def test_not_applicable():
    """Not applicable."""
    raise NotApplicable("\\n".join(texts("unseen")))


@proves("property")
def test_property(request, record_property, record_xml_attribute):
    """Property."""
    record_property("said", texts("property"))
    record_property("too", "\\n".join(texts("property")))


@pytest.fixture
def broken():
    held = texts("setup")
    raise RuntimeError("\\n".join(held))


@proves("setup")
def test_setup(broken):
    """Setup."""


@pytest.fixture
def leaving():
    yield
    raise RuntimeError("\\n".join(texts("teardown")))


@proves("teardown")
def test_teardown(leaving):
    """Teardown."""


@proves("locals")
def test_locals():
    """Locals."""
    said, everything, one = texts("locals"), os.environ, "\\n".join(texts("locals"))
    first, *_ = [*said, ""]
    1 / 0


@proves("answer")
def test_answer(registrations, known):
    """Answer."""
    if MODE == "crash":
        os._exit(7)
    if MODE == "exit":
        pytest.exit("\\n".join(texts("exit")))
    assert not registrations.runners, registrations.runners
'''

FACT = """
from dataclasses import dataclass
import shlex
from fixtures.facts.host import Disks


@dataclass(frozen=True)
class Planted:
    NAME = "planted"
    SECONDS = 5.0
    NEEDS = Disks.NEEDS
    text: str

    @staticmethod
    def shell(runner, world):
        return "cat PLACE; cat PLACE >&2"

    @classmethod
    def parse(cls, out, runner):
        return cls(out.out + out.err)
"""

HOOK = """
import json, os
from pathlib import Path


def pytest_runtest_logreport(report):
    said = json.loads(Path(os.environ["PLAN"]).read_text("utf-8"))["texts"]["internal"]
    if "test_answer" in report.nodeid:
        raise RuntimeError("\\n".join(said))
"""


@dataclass(frozen=True)
class Field:
    """A tree with everything planted. `unknown` are secrets that nothing tells of, `known` those of the environment."""

    tree: Tree
    unknown: tuple[str, ...]
    known: Mapping[str, str]

    @property
    def base(self) -> Path:
        return self.tree.path.parent

    def files(self) -> dict[Path, int]:
        return {p: p.stat().st_mtime_ns for p in self.base.rglob("*") if p.is_file() and not p.is_symlink()}


@pytest.fixture(scope="module")
def field(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Field]:
    base = tmp_path_factory.mktemp("planted")
    dice = planted.Dice(base.name + "7")
    kinds = list(planted.KINDS)
    assert len(kinds) >= 25
    texts: dict[str, list[str]] = {place: [] for place in PLACES}
    names: dict[str, list[str]] = {place: [] for place in PLACES}
    unknown, known = [], {}
    for n in range(COUNT):
        place = PLACES[n % len(PLACES)]
        if n % KNOWN_EVERY == 0:
            name = f"PLANTED_{n}_TOKEN"
            known[name] = planted.told(dice, n // KNOWN_EVERY)
            names[place].append(name)
        else:
            text, secret = planted.made(kinds[n % len(kinds)], dice)
            texts[place].append(text)
            unknown.append(secret)
    with github() as served:
        yield _planted(Tree(base / "tree", {}), served, texts, names, tuple(unknown), known)


def _planted(
    tree: Tree,
    served: GitHub,
    texts: Mapping[str, list[str]],
    names: Mapping[str, list[str]],
    unknown: tuple[str, ...],
    known: Mapping[str, str],
) -> Field:
    from tests.gate import context

    plant(tree.path)
    tree.world.update(context(served.url))
    forms = [form for name in names["host"] for form in planted.encoded(known[name])]
    (tree.path.parent / "input").mkdir()
    host = tree.path.parent / "input" / "host"
    host.write_text("\n".join([*texts["host"], *forms]), "utf-8")
    (tree.path.parent / "input" / "plan.json").write_text(json.dumps({"texts": texts, "names": names}), "utf-8")
    tree.write("checks/planted.py", (ROOT / "tests" / "planted.py").read_text("utf-8"))
    tree.write("checks/test_planted.py", CHECKS)
    tree.write("fixtures/facts/planted.py", FACT.replace("PLACE", str(host)))
    tree.rewrite("fixtures/facts/hostfacts.py", "    for fact in (\n", "    for fact in (\n        Planted,\n")
    tree.rewrite(
        "fixtures/facts/hostfacts.py",
        "from fixtures.facts.host import",
        "from fixtures.facts.planted import Planted\nfrom fixtures.facts.host import",
    )
    given = tree.path / "fixtures" / "given.py"
    given.write_text(
        given.read_text("utf-8")
        + '\n\n@pytest.fixture\ndef planted(known: Known, runner: Runner):\n    return known.host_fact("planted", runner)\n',
        "utf-8",
    )
    said = [*texts["answer"], *(form for name in names["answer"] for form in planted.encoded(known[name]))]
    for n, text in enumerate(said):
        served.register(f"stranger {n} {text}", labels=("self-hosted", "prod-1", text))
    served.headers = {"ETag": '"tag"', "X-Accepted-GitHub-Permissions": said[0], "Link": f"<{said[-1]}>; rel=last"}
    tree.arrange()
    small = tree.path / "contexts" / "small.yml"
    comments = [*texts["context"], *(form for name in names["context"] for form in planted.encoded(known[name]))]
    lines = "".join(f"# {line}\n" for text in comments for line in text.splitlines())
    small.write_text(small.read_text("utf-8") + lines, "utf-8")
    return Field(tree, unknown, known)


def written(field: Field, before: Mapping[Path, int]) -> dict[str, bytes]:
    """Every file that is new or changed, what is packed in it too."""
    found = {}
    for path, changed in field.files().items():
        if before.get(path) == changed or path.suffix == ".pyc":
            continue
        found[str(path.relative_to(field.base))] = path.read_bytes()
        if path.name.endswith(".tar.gz"):
            with tarfile.open(path) as tar:
                for member in tar.getmembers():
                    file = tar.extractfile(member)
                    found[f"{path.name}:{member.name}"] = file.read() if file else b""
    return found


def leaks(field: Field, said: Mapping[str, bytes]) -> list[str]:
    """Where a planted secret is found, and which; none of them is worth anything."""
    plain = {line.encode() for secret in field.unknown for line in secret.splitlines() if not line.startswith("-----")}
    forms = {form for value in field.known.values() for form in planted.traces(value)}
    return [
        f"{name}: {needle.decode()} in …{data[max(0, data.index(needle) - 60) :][:150]!r}"
        for name, data in said.items()
        for needle in sorted(plain | forms)
        if needle in data
    ]


def ran(field: Field, *args: str, mode: str = "") -> tuple[int, dict[str, bytes]]:
    """The exit code of one run, and all that it wrote."""
    before = field.files()
    leave_deploy(field.tree.reports)
    env = environ(
        field.base,
        PLAN=str(field.base / "input" / "plan.json"),
        MODE=mode,
        GITHUB_STEP_SUMMARY=str(field.base / "step.md"),
        GITHUB_OUTPUT=str(field.base / "outputs"),
        GITHUB_ACTIONS="true",
        **field.known,
    )
    command = [sys.executable, "-m", "pytest", f"--reports={field.tree.reports}", *args]
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    done = subprocess.run(command, cwd=field.tree.path, env=env, timeout=120, check=False, **streams)  # type: ignore[call-overload]
    pack = [sys.executable, "-m", "reports.bundle", str(field.tree.reports)]
    packed = subprocess.run(pack, cwd=field.tree.path, env=env, timeout=60, check=False, **streams)  # type: ignore[call-overload]
    said = written(field, before)
    said |= {"stdout": done.stdout, "stderr": done.stderr, "bundle": packed.stdout + packed.stderr}
    return done.returncode, said


QUICK = ("--profile", "quick")
MODES: dict[str, tuple[str, ...]] = {
    "plain": QUICK,
    "-vv": (*QUICK, "-vv", "-rA"),
    "--showlocals": (*QUICK, "-vv", "--showlocals", "--tb=long"),
    "--capture=no": (*QUICK, "--capture=no"),
    "--log-cli-level=DEBUG": (*QUICK, "--log-cli-level=DEBUG", "--log-file=run.log", "--log-file-level=DEBUG"),
    "junit": (*QUICK, "--junitxml=given.xml"),
    "workers": (*QUICK, "-n", "2", "--showlocals"),
    "--debug": (*QUICK, "--debug"),
    "junit, all": ("--junitxml=given.xml", "-o", "junit_logging=all"),
    "part": ("--showlocals", "--tb=native", "--full-trace", "-rA"),
    "tee": ("--capture=tee-sys", "-rA", "--tb=short"),
}
# Where the run itself fails: its exit code, and what is planted where it does.
TROUBLE: dict[str, tuple[str, int, tuple[str, ...]]] = {
    "import": ("import", 3, ("-vv", "--showlocals")),
    "import, profile": ("import", 3, (*QUICK, "--showlocals")),
    "crash": ("crash", 3, (*QUICK, "-n", "2", "--showlocals")),
    "exit": ("exit", 2, QUICK),
    "internal": ("internal", 3, ("--showlocals", "--full-trace")),
}


# A few of the ways in the quick tests; `make test-all` goes all of them.
OFTEN = ("--showlocals", "import, profile")


def ways(names: Mapping[str, object]) -> list[Any]:
    return [name if name in OFTEN else pytest.param(name, marks=pytest.mark.slow) for name in names]


@pytest.mark.parametrize("mode", ways(MODES))
def test_no_byte_of_a_secret(field: Field, mode: str) -> None:
    code, said = ran(field, *MODES[mode])
    assert code == 3, said["stdout"].decode()  # checks that raise what no check may raise
    assert not leaks(field, said)
    verdict: dict[str, Any] = json.loads(said["reports/verdict.json"])
    outcomes = {f"{c['check']}": c["outcome"] for c in verdict["checks"]}
    assert len(outcomes) >= 15
    assert outcomes["runner-health/host"] == outcomes["serialization/answer"] == "broken", (
        "the secrets were really said"
    )
    masked = [name for name in said if b"***" in said[name]]
    assert {"stdout", "reports/verdict.json", "reports/seen/github.json"} <= set(masked)
    assert any(name.endswith(".xml") for name in masked)
    assert any(name.startswith("reports/seen/hosts/") for name in masked)
    assert b"redacted" in said["reports/seen/context.yml"]
    assert b"nothing in it is, or looks like, a secret" in said["bundle"], said["bundle"].decode()


@pytest.mark.parametrize("name", ways(TROUBLE))
def test_no_byte_of_a_secret_when_the_run_itself_fails(field: Field, name: str) -> None:
    mode, expected, args = TROUBLE[name]
    hook = field.tree.path / "checks" / "conftest.py"
    if mode == "internal":
        hook.write_text(HOOK, "utf-8")
    try:
        code, said = ran(field, *args, mode=mode)
    finally:
        hook.unlink(missing_ok=True)
    assert code == expected, said["stdout"].decode() + said["stderr"].decode()
    assert not leaks(field, said)


def test_the_leaks_would_be_found(field: Field) -> None:
    """Each of them, in the places above."""
    value = next(iter(field.known.values()))
    assert all(leaks(field, {"x": b"a " + form + b" b"}) for form in planted.traces(value))
    assert all(leaks(field, {"x": secret.encode()}) for secret in field.unknown)
    assert len(field.unknown) + len(field.known) == COUNT
