"""Every numbered threat that is due has a test, through HTTP on the whole application, and says so by its mark."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

TESTS: Final = Path(__file__).parents[1]


def numbers(first: int, last: int | None = None) -> tuple[str, ...]:
    return tuple(f"N{number}" for number in range(first, (last or first) + 1))


#: What the provider has to refuse by now.
DUE: Final = (
    *numbers(1, 12),  # redirect URIs
    *numbers(13, 21),  # the front channel
    *numbers(22, 34),  # codes and tokens
    *numbers(36, 40),  # signed tokens that come in
    *numbers(41, 46),  # fetching addresses that a client gave: event endpoints, so far
    *numbers(51, 57),  # client authentication
    *numbers(66, 74),  # login, session, consent
    *numbers(77, 78),  # people
    *numbers(80, 81),  # logout
    *numbers(83, 95),  # HTTP, browsers, operations
)

#: What is due with the feature that it is about. Some have tests already, of the part that there is.
LATER: Final = (
    ("device flow", numbers(35)),
    ("dynamic registration and its management: operators register by the command line", numbers(47, 50)),
    ("DPoP, mTLS, pushed and signed authorization requests", numbers(58, 65)),
    ("one-time codes, recovery and e-mail", numbers(75)),
    ("WebAuthn", numbers(76)),
    ("consent in somebody else's name", numbers(79)),
    ("logout tokens to apps", numbers(82)),
    ("metrics and the conformance mode", numbers(96)),
    ("webfinger", numbers(97)),
    ("federation", numbers(98)),
    ("time: what there is of it is tested with the tokens", numbers(99)),
    ("supply: versions and hashes, in test_repository_rules.py", numbers(100)),
)

#: A test that takes one of these acts on the whole application, in this process or in others, over HTTP.
WHOLE_APPLICATION: Final = frozenset(
    {
        *("app", "client", "user", "new_user", "world", "stage", "door", "outage_client"),
        *("server", "two_processes", "service", "shared_service"),
    }
)


def marked_tests() -> Iterator[tuple[str, str, bool]]:
    """Each mark in the source: its number, its test, and whether that test goes through HTTP."""
    for path in sorted(TESTS.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                taken = {argument.arg for argument in (*node.args.args, *node.args.kwonlyargs)}
                name = f"{path.relative_to(TESTS)}::{node.name}"
                for number in marks_of(node):
                    yield number, name, not taken.isdisjoint(WHOLE_APPLICATION)


def marks_of(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    for decorator in node.decorator_list:
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.threat":
            for argument in decorator.args:
                assert isinstance(argument, ast.Constant), f"{node.name}: a mark names its threats literally"
                value = argument.value
                yield f"N{value}" if isinstance(value, int) else str(value)


@pytest.fixture(scope="module")
def covered() -> dict[str, list[str]]:
    """The tests of each threat that go through HTTP."""
    found = defaultdict(list)
    for number, name, through_http in marked_tests():
        if through_http:
            found[number].append(name)
    return dict(found)


@pytest.mark.parametrize("number", DUE)
def test_each_threat_that_is_due_is_tested_through_http(covered: dict[str, list[str]], number: str) -> None:
    assert covered.get(number), f"{number} has no test with its mark that goes through HTTP"


def test_every_threat_of_the_list_is_due_or_has_its_reason() -> None:
    later = [number for _, some in LATER for number in some]
    assert sorted([*DUE, *later]) == sorted(numbers(1, 100)), "each number once"


def test_a_mark_names_a_threat_of_the_list() -> None:
    unknown = {name: number for number, name, _ in marked_tests() if number not in numbers(1, 100)}
    assert unknown == {}
