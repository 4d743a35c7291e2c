"""Expressions as GitHub evaluates them: its documented rules, its grammar, and sets of values instead of one."""

from __future__ import annotations

import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures.facts.expressions import FUNCTIONS, MAX_LENGTH, BadExpression, condition, parse, template
from fixtures.facts.possible import (
    EITHER,
    MAX_VALUES,
    Possible,
    Unknown,
    evaluate,
    of_condition,
    of_source,
    only,
    unknown,
)
from fixtures.facts.values import Value, from_json, identity, plain
from tests.work import calls


class Given:
    """Contexts of a test: a root's value, or what is possible for a path."""

    def __init__(self, **roots: Value | Possible) -> None:
        self.roots = {
            name.lower(): value if isinstance(value, Possible) else only(value) for name, value in roots.items()
        }

    def get(self, root: str, keys: tuple[str, ...]) -> Possible:
        name = "_".join((root, *keys)).replace("-", "_")
        return self.roots.get(name, unknown(".".join((root, *keys)), "nobody said"))

    def status(self, function: str) -> Possible:
        return only(True) if function == "always" else EITHER


NOTHING = Given()


def values(source: str, scope: Given = NOTHING) -> list[object]:
    found = evaluate(parse(source), scope)
    assert found.closed, found
    return [plain(value) for value in found.values]


# docs.github.com, "Evaluate expressions in workflows and actions": literals, operators, loose comparison, functions.
TRUE = [
    "'a' == 'A'",
    "'Straße' != 'STRASSE1'",
    "null == 0",
    "null == ''",
    "null == false",
    "true == 1",
    "false == 0",
    "'' == 0",
    "' ' == 0",
    "'1' == 1",
    "'0xff' == 255",
    "'0o10' == 8",
    "'1e3' == 1000",
    "' 12 ' == 12",
    "true == '1'",
    "true != 'true'",
    "'abc' != 0",
    "NaN != NaN",
    "fromJSON('[]') != fromJSON('[]')",
    "fromJSON('{}') != 'Object'",
    "1 < 2",
    "2 >= 2",
    "'a' < 'B'",
    "'b' > 'A'",
    "true > false",
    "'10' > 9",
    "!('x' > 0)",
    "!('x' < 0)",
    "!('x' <= 0)",
    "!(NaN >= NaN)",
    "!fromJSON('null')",
    "!''",
    "!0",
    "!-0",
    "!NaN",
    "!!'false'",
    "!!fromJSON('[]')",
    "contains('Hello world', 'LLO')",
    "contains(fromJSON('[\"push\", \"pull_request\"]'), 'PUSH')",
    "!contains(fromJSON('[\"pushed\"]'), 'push')",
    "contains(fromJSON('[1]'), '1')",
    "startsWith('Hello world', 'he')",
    "endsWith('Hello world', 'LD')",
    "startsWith(123, '12')",
    "format('{{Hello {0} {1}!}}', 'Mona', 'x') == '{Hello Mona x!}'",
    "join(fromJSON('[1, true, null]'), '-') == '1-true-'",
    "join('x') == 'x'",
    "toJSON(fromJSON('\"a\"')) == '\"a\"'",
    "case(false, 'a', true, 'b', 'c') == 'b'",
    "case(false, 'a', 'c') == 'c'",
    "(false && 'a' || 'b') == 'b'",
    "(true && '' || 'b') == 'b'",
    "1 < 2 == true",
    "3 > 2 && 2 > 1 || false",
    "-9.2 < -9",
    ".5 == 0.5",
    "'It''s' == 'it''S'",
    'fromJSON(\'{"A": {"b": [7, 8]}}\').a.B[1] == 8',
    "fromJSON('[1]')[5] == null",
]


@pytest.mark.parametrize("source", TRUE)
def test_githubs_rules(source: str) -> None:
    assert values(source) == [True]


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("711", "711"),
        ("-9.2", "-9.2"),
        ("0xff", "255"),
        ("-2.99e-2", "-0.0299"),
        ("null", ""),
        ("true", "true"),
        ("1.0", "1"),
        ("fromJSON('[1]')", "Array"),
        ("fromJSON('{}')", "Object"),
        ("NaN", "NaN"),
    ],
)
def test_values_as_text(source: str, value: str) -> None:
    assert of_source(f"<${{{{ {source} }}}}>", NOTHING).texts == (f"<{value}>",)


@pytest.mark.parametrize(
    "source",
    [
        "",
        " ",
        '"double"',
        "'open",
        "a.b",
        "github.",
        "github.ref ==",
        "(github.ref",
        "github.ref)",
        "nope()",
        "contains('a')",
        "always(1)",
        "case(true, 1)",
        "github ref",
        "= 1",
        "1 & 2",
        "!",
        "github[",
        "'a'.b.c d",
        "1.2.3",
        "(" * 200 + "1" + ")" * 200,
        "!" * 200 + "true",
        "github" + ".a" * 200,
        "1" + " == 1" * 200,
        "'" + "x" * MAX_LENGTH + "'",
    ],
)
def test_what_github_would_reject(source: str) -> None:
    with pytest.raises(BadExpression):
        parse(source)


def test_templates_end_outside_of_quotes() -> None:
    assert of_source("a-${{ '}}' }}-${{ 1 }}", NOTHING).texts == ("a-}}-1",)
    assert template("plain") == ("plain",)
    with pytest.raises(BadExpression):
        template("${{ 'open }}")


def test_an_if_is_an_expression_with_or_without_its_braces() -> None:
    assert condition("github.ref == 'x'") == condition("${{ github.ref == 'x' }}")
    # Anything around the braces makes it text, and text is true.
    assert of_condition("${{ false }} && true", NOTHING).values == (True, False), "success() stands before it"
    assert of_condition("always() && ${{ false }}", NOTHING).maybe_true
    assert not of_condition("always() && false", NOTHING).maybe_true
    assert not of_condition("false", NOTHING).maybe_true


SET = Given(
    inputs_to=Possible(("staging", "production")),
    github_ref=Possible(("refs/heads/a", "refs/heads/b"), (Unknown("github.ref", "differs", True, True),)),
)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("inputs.to", ["staging", "production"]),
        ("format('deploy-{0}', inputs.to)", ["deploy-staging", "deploy-production"]),
        ("inputs.to == 'production' && 'a' || 'b'", ["a", "b"]),
        ("inputs.to == 'nowhere' && 'a' || 'b'", ["b"]),
        ("inputs.to != '' && 'a' || 'b'", ["a"]),
        ("github.ref == 'refs/heads/main' && 'a' || 'b'", ["b"]),
        ("startsWith(github.ref, 'refs/heads/') && 'a' || 'b'", ["a"]),
        ("vars.X == 'a'", [True, False]),
        ("vars.X && 'a' || 'b'", ["a", "b"]),
        ("contains(vars.X, 'a') && 'yes'", [False, "yes"]),
        ("case(vars.X == 'a', 1, 2)", [1, 2]),
    ],
)
def test_sets(source: str, expected: list[object]) -> None:
    found = evaluate(parse(source), SET)
    assert found.closed
    assert sorted(map(repr, map(plain, found.values))) == sorted(map(repr, expected))


def test_what_cannot_be_known_says_which_part() -> None:
    found = of_source("deploy-${{ vars.X }}-${{ steps.a.outputs.b }}", NOTHING)
    assert [u.part for u in found.unknown] == ["vars.x", "steps.a.outputs.b"]
    assert not found.values
    either = evaluate(parse("vars.X || 'production'"), NOTHING)
    assert either.texts == ("production",)
    assert [u.part for u in either.unknown] == ["vars.x"]


def test_what_varies_is_no_constant() -> None:
    found = of_source("deploy-${{ github.ref }}", SET)
    assert found.varies
    assert found.texts == ("deploy-refs/heads/a", "deploy-refs/heads/b")
    assert repr(found).startswith('"deploy-refs/heads/a" or "deploy-refs/heads/b"')


def test_sets_are_bounded() -> None:
    many = Given(inputs_a=Possible(tuple(map(str, range(60)))), inputs_b=Possible(tuple(map(str, range(60)))))
    found = of_source("${{ inputs.a }}-${{ inputs.b }}", many)
    assert not found.closed
    assert len(found.values) <= MAX_VALUES
    assert calls(lambda: of_source("${{ inputs.a }}" * 40, many)) < 10_000


def test_json_that_is_none_is_unknown() -> None:
    found = evaluate(parse("fromJSON('[')"), NOTHING)
    assert not found.values
    assert "is no JSON" in repr(found.unknown[0])
    assert from_json("1e999") == math.inf


WORDS = st.sampled_from(
    [
        "github.ref",
        "inputs.x",
        "vars['a']",
        "matrix.*",
        "needs.a.outputs.b",
        "'it''s'",
        "1",
        "-0x",
        "NaN",
        "null",
        "true",
        "(",
        ")",
        "[",
        "]",
        "*",
        ".",
        ",",
        "!",
        "==",
        "!=",
        "<",
        ">=",
        "&&",
        "||",
        "${{",
        "}}",
        "'",
        '"',
        " ",
        "\n",
        *(f"{name}(" for name in FUNCTIONS),
    ]
)


@given(st.lists(WORDS, max_size=30).map("".join) | st.text(max_size=60))
def test_never_an_exception(source: str) -> None:
    """But the one that says why GitHub would reject it."""
    with contextlib.suppress(BadExpression):
        evaluate(parse(source), SET)
    with contextlib.suppress(BadExpression):
        condition(source)
    assert isinstance(of_source(source, SET), Possible)
    assert isinstance(of_condition(source, SET), Possible)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@given(PLAIN, PLAIN, st.sampled_from(["==", "!=", "<", "<=", ">", ">="]))
def test_comparisons_agree_with_each_other(left: object, right: object, operator: str) -> None:
    from fixtures.facts.values import compare, of_json

    a, b = of_json(left), of_json(right)
    mirrored = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}.get(operator, operator)
    assert compare(operator, a, b) == compare(mirrored, b, a)
    assert compare("==", a, b) != compare("!=", a, b)
    assert identity(a) == identity(of_json(left))
