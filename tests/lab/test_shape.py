"""Shapes of hosts, as they are asked for."""

from __future__ import annotations

import pytest

from lab.process import LabError
from lab.shape import shapes, size_bytes
from lab.world import Shape

NAMES = ("prod-runner-01", "prod-runner-02")


def test_one_host_may_differ() -> None:
    found = shapes(NAMES, {"memory": "512m"}, ["prod-runner-02:disk=1g,memory=160m", "prod-runner-02:image=podman"])
    assert found == {
        "prod-runner-01": Shape(memory="512m"),
        "prod-runner-02": Shape(disk="1g", memory="160m", image="podman"),
    }


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("prod-runner-09:disk=1g", "no host 'prod-runner-09'"),
        ("prod-runner-01:cpu=2", "a host has no 'cpu'; it has disk, work, memory, image"),
        ("prod-runner-01:disk=1T", "disk=1T: expected a size"),
        ("prod-runner-01:disk", "disk=: expected a size"),
        ("prod-runner-01:image=lxc", "no image 'lxc'; there are podman, docker"),
        ("prod-runner-01", "a host has no ''"),
    ],
)
def test_a_wrong_shape_says_what_is_right(text: str, says: str) -> None:
    with pytest.raises(LabError, match=says):
        shapes(NAMES, {}, [text])


def test_sizes() -> None:
    assert [size_bytes(size) for size in ("1k", "160m", "2g")] == [1024, 167772160, 2147483648]
