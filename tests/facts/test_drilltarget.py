"""What a context may say of a rehearsal target, and what it must not: it is no part of production."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from fixtures.facts.drilltarget import DrillTarget, contradictions

TARGET = DrillTarget(
    "rehearsal", ("v1", "v2"), "deploy {version}", "back {version}", "served", url="http://rehearsal:8080/"
)
HOSTS, ADDRESSES = ("app-01.internal",), ("https://shop.example.com/health", "db.internal:5432")


@pytest.mark.parametrize(
    ("changed", "key"),
    [
        ({"versions": ("v1",)}, "versions"),
        ({"versions": ("v1", "v1")}, "versions"),
        ({"versions": ("v1", "v2", "v3")}, "versions"),
        ({"sick": "v1"}, "versions"),
        ({"versions": ("v1", "$(id)")}, "versions"),
        ({"versions": ("v1", "-rf")}, "versions"),
        ({"deploy": "deploy"}, "deploy"),
        ({"back": "back"}, "back"),
        ({"forget": "rm -rf releases"}, "forget"),
        ({"host": "APP-01.internal"}, "host"),
        ({"url": "https://SHOP.example.com/other"}, "url"),
        ({"url": "http://db.internal:5432/"}, "url"),
        ({"patience": timedelta()}, "patience"),
        ({"returns": timedelta()}, "returns"),
    ],
)
def test_keys_that_do_not_fit_are_named(changed: dict[str, Any], key: str) -> None:
    assert [at for at, _ in contradictions(replace(TARGET, **changed), HOSTS, ADDRESSES)] == [key]


def test_a_target_that_fits() -> None:
    assert contradictions(TARGET, HOSTS, ADDRESSES) == []
    assert (TARGET.other("v1"), TARGET.other("v2")) == ("v2", "v1")
    assert TARGET.command(TARGET.deploy, "v2") == "deploy v2"
