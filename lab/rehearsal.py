"""The machine that drills rehearse on: the reference deployment, two releases to go between, and one that is sick.

It takes SSH as production's machine does, under the name `rehearsal`, and what it serves is real HTTP (`lab/site.py`).
"""

import shutil
from pathlib import Path

from lab import release, target
from lab.world import Lab

ONE, OTHER, SICK = "1" * 40, "2" * 40, "5" * 40
PAUSE = "0.3"
"""Seconds of rest between the steps of a deploy there, so that a kill strikes between two of them."""


def home(lab: Lab) -> Path:
    return lab.state / "rehearsal"


def script(lab: Lab) -> Path:
    return home(lab) / "release.sh"


def url(lab: Lab) -> str:
    return f"http://{lab.address}:{lab.site_port}/"


def asking(lab: Lab) -> str:
    return f"curl -fsS -m 2 {url(lab)}version"


def make(lab: Lab) -> None:
    """As two deploys left it; what was there before goes."""
    release.stand(home(lab), [ONE, OTHER], asking(lab))
    settings = home(lab) / "release.conf"
    with settings.open("a", encoding="utf-8") as file:
        file.write(f"RELEASE_PAUSE={PAUSE}\nRELEASE_HEALTHY=2\nRELEASE_PATIENCE=2\n")
    for version in (ONE, OTHER, SICK):
        release.lay(home(lab) / "artifacts", version, sick=version == SICK)
    shutil.copy2(release.SCRIPT, script(lab))


def context_text(lab: Lab) -> str:
    """What the context says of it, under `drills`."""
    return f"""  target:
    host: {target.REHEARSAL}
    versions: ["{ONE}", "{OTHER}"]
    sick: "{SICK}"
    deploy: RELEASE_TARGET= RELEASE_ARTIFACT=artifacts/{{version}}.tar.gz sh release.sh deploy {{version}}
    back: RELEASE_TARGET= sh release.sh return {{version}}
    served: RELEASE_TARGET= sh release.sh served
    forget: rm -rf releases/{{version}}
    url: {url(lab)}
    patience: 60s
    returns: 30s
"""
