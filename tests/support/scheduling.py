"""Keeps tests of one group on one worker: they share what is slow to start, or would disturb each other.

A module says its group in its own source, `pytest.mark.xdist_group("…")`. pytest-xdist 3.8 passes that mark on in a
test's id, which pytest 9.2 no longer lets it change; so this reads the modules instead.
"""

import functools
import re
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

ROOT = Path(__file__).parents[2]
MARK = re.compile(r"""^(?:pytestmark = .*|    )pytest\.mark\.xdist_group\("(\w+)"\)""", re.MULTILINE)


class GroupScheduling(LoadScopeScheduling):  # type: ignore[misc]  # pytest-xdist has no types
    """A group is one piece of work; every test without a group is a piece of its own."""

    def __init__(self, config: pytest.Config, log: Producer) -> None:
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid.partition("::")[0]) or nodeid


@functools.cache
def group_of(module: str) -> str | None:
    """The group that a module names, if it names one."""
    path = ROOT / module
    named = MARK.search(path.read_text(encoding="utf-8")) if path.is_file() else None
    return named[1] if named else None
