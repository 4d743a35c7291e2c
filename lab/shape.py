"""Shapes of hosts as `up` takes them: for all, and for one: `--memory 512m --host prod-runner-02:disk=1g,memory=160m`."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace

from lab.image import VARIANTS
from lab.process import LabError
from lab.world import Shape

SIZE = re.compile(r"[1-9][0-9]{0,6}[kmg]")
PARTS = tuple(field.name for field in fields(Shape))
UNITS = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


def size_bytes(size: str) -> int:
    """Bytes of a size such as 512m."""
    return int(size[:-1]) * UNITS[size[-1]]


def changed(shape: Shape, parts: Mapping[str, str]) -> Shape:
    """`shape` with other parts. Raises LabError for what is no part, no size, no variant."""
    for name, value in parts.items():
        if name not in PARTS:
            raise LabError(f"a host has no {name!r}; it has {', '.join(PARTS)}")
        if name == "image" and value not in VARIANTS:
            raise LabError(f"no image {value!r}; there are {', '.join(VARIANTS)}")
        if name != "image" and not SIZE.fullmatch(value):
            raise LabError(f"{name}={value}: expected a size such as 160m or 1g")
    return replace(shape, **parts)


def shapes(names: Sequence[str], common: Mapping[str, str], single: Iterable[str]) -> dict[str, Shape]:
    """The shape of each host; `single` are texts `HOST:part=value,…`, the last word on a part counts."""
    found = dict.fromkeys(names, changed(Shape(), common))
    for text in single:
        name, _, rest = text.partition(":")
        if name not in found:
            raise LabError(f"no host {name!r} in this lab; there are {', '.join(names)}")
        pairs = [part.partition("=")[::2] for part in rest.split(",")]
        found[name] = changed(found[name], dict(pairs))
    return found
