"""Runs the gate over a recording, and reads its page as a browser's parser would."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
NIGHT = ROOT / "contexts" / "recordings" / "night"
HEALTHY = ROOT / "tests" / "recordings" / "healthy"
VOID = {"meta", "link", "img", "br", "input", "source"}


@dataclass
class Tag:
    name: str
    attributes: dict[str, str]
    text: str = ""


@dataclass
class Read(HTMLParser):
    """A page as a browser's parser sees it: each element with its attributes and the text inside it."""

    tags: list[Tag] = field(default_factory=list)
    open: list[Tag] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(Tag(tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(self.tags[-1])

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop().name != tag:
            pass

    def handle_data(self, data: str) -> None:
        for tag in self.open:
            tag.text += data

    def named(self, name: str, classed: str = "") -> list[Tag]:
        return [
            t for t in self.tags if t.name == name and (not classed or classed in t.attributes.get("class", "").split())
        ]

    def blob(self) -> dict[str, Any]:
        """What pytest-html's script draws its table from."""
        value: dict[str, Any] = json.loads(
            next(t for t in self.tags if "data-jsonblob" in t.attributes).attributes["data-jsonblob"]
        )
        return value

    @property
    def title(self) -> str:
        return self.named("title")[0].text


def read(page: str) -> Read:
    parser = Read()
    parser.feed(page)
    return parser


def gate(
    place: Path, *arguments: str, code: str = "import pytest, sys; raise SystemExit(pytest.main(sys.argv[1:]))"
) -> subprocess.CompletedProcess[str]:
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "GITHUB_", "PREFLIGHT_"))}
    command = [sys.executable, "-c", code, f"--reports={place}", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False)


def verdict(place: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((place / "verdict.json").read_text("utf-8"))
    return value


def assert_offline(text: str, page: Read) -> None:
    for tag in page.tags:
        for name in ("src", "href", "srcset", "action", "poster", "data", "xlink:href", "formaction"):
            target = tag.attributes.get(name, "")
            assert target in ("", "data:,") or re.match(r"(\#|(\.\./)+contexts/|seen/)", target), (
                tag.name,
                name,
                target,
            )
        assert not [name for name in tag.attributes if name.startswith("on")], tag
    styles = "".join(t.text for t in page.named("style"))
    assert "@import" not in styles
    assert "url(" not in styles
    policy = next(
        t.attributes["content"]
        for t in page.named("meta")
        if t.attributes.get("http-equiv") == "Content-Security-Policy"
    )
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy.split("script-src")[1]
    assert str(ROOT) not in text
    assert str(Path.home()) + "/" not in text
