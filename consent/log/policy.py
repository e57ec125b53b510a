"""A policy: which logs are believed, which witnesses there are, and how many of them must have cosigned.

Spec: C2SP tlog-policy
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from consent.log.encoding import from_decimal
from consent.log.errors import FormatRefused, QuorumMissed
from consent.log.note import Note, OpenCheckpoint, open_checkpoint
from consent.log.vkey import KeyType, VerifierKey

MAX_POLICY_BYTES: Final = 512 * 1024
MAX_LINES: Final = 1024
NOBODY: Final = "none"
_LOG_TYPES: Final = frozenset({KeyType.ED25519, KeyType.ML_DSA_44})
_WITNESS_TYPES: Final = frozenset({KeyType.COSIGNATURE, KeyType.ML_DSA_44})
_FORBIDDEN: Final = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")
_BLANK: Final = re.compile(r"[ \t]+")


@dataclass(frozen=True)
class TrustedLog:
    """A log that is believed; its key's name is its origin. The meaning of the URL is the application's."""

    key: VerifierKey
    url: str | None = None


@dataclass(frozen=True)
class TrustedWitness:
    """A witness, by the name that the policy gives it; the URL is where checkpoints are submitted to it."""

    name: str
    key: VerifierKey
    url: str | None = None


@dataclass(frozen=True)
class Group:
    """Witnesses and earlier groups, of which `threshold` must have witnessed for the group to have."""

    name: str
    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True)
class Policy:
    """What must hold of a checkpoint before it is believed."""

    logs: tuple[TrustedLog, ...] = ()
    witnesses: tuple[TrustedWitness, ...] = ()
    groups: tuple[Group, ...] = ()
    quorum: str = NOBODY

    @classmethod
    def parse(cls, data: bytes | str) -> "Policy":
        """Reads a policy file. Raises `FormatRefused`, naming the line.

        Spec: C2SP tlog-policy, Policy file syntax and structure
        """
        return _Reader().read(data)

    def of_log(self, key: VerifierKey) -> "Policy":
        """The same witnesses and quorum, for this one log. Raises `FormatRefused` when the policy lists others only."""
        listed = [log for log in self.logs if log.key == key]
        if self.logs and not listed:
            raise FormatRefused(f"the policy does not list the log {key.name} with this key")
        return replace(self, logs=tuple(listed) or (TrustedLog(key),))

    def open(self, data: bytes | str | Note) -> OpenCheckpoint:
        """Verifies a checkpoint by the logs' and the witnesses' keys. Whether the quorum is met, `require_quorum` says.

        Raises `NoteRefused` and its kind, or `FormatRefused`.
        """
        return open_checkpoint(
            data, log_keys={log.key for log in self.logs}, witness_keys={witness.key for witness in self.witnesses}
        )

    def witnesses_of(self, opened: OpenCheckpoint) -> tuple[str, ...]:
        """The names of the witnesses that have cosigned."""
        signed = {verified.key for verified in opened.verified}
        return tuple(witness.name for witness in self.witnesses if witness.key in signed)

    def met_by(self, names: Collection[str]) -> bool:
        """Whether these witnesses are enough.

        Spec: C2SP tlog-policy, Defining the quorum; Defining a witness group
        """
        witnessed = {NOBODY, *names}
        # Members are defined before their group, so one pass suffices.
        for group in self.groups:
            if sum(member in witnessed for member in group.members) >= group.threshold:
                witnessed.add(group.name)
        return self.quorum in witnessed

    def require_quorum(self, opened: OpenCheckpoint) -> tuple[str, ...]:
        """The names of the witnesses that have cosigned. Raises `QuorumMissed` when they are not enough."""
        names = self.witnesses_of(opened)
        if not self.met_by(names):
            have = ", ".join(names) or "no witness that is known here"
            raise QuorumMissed(f"cosigned by {have}; the policy wants {self.in_words()}")
        return names

    def in_words(self) -> str:
        """The quorum rule, for people."""
        said: dict[str, str] = {}
        for group in self.groups:
            members = ", ".join(said.get(member, member) for member in group.members)
            said[group.name] = f"{group.threshold} of ({members})"
        return "no witness" if self.quorum == NOBODY else said.get(self.quorum, self.quorum)


class _Reader:
    """Reads a policy line by line; a line may only speak of what stands above it."""

    def __init__(self) -> None:
        self.logs: list[TrustedLog] = []
        self.witnesses: list[TrustedWitness] = []
        self.groups: list[Group] = []
        self.quorum: str | None = None
        self.defined: set[str] = set()
        self.members: set[str] = set()

    def read(self, data: bytes | str) -> Policy:
        # Names are octets to the specification; surrogateescape keeps different octets different.
        raw = data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data
        if len(raw) > MAX_POLICY_BYTES:
            raise FormatRefused(f"a policy of more than {MAX_POLICY_BYTES} bytes")
        if _FORBIDDEN.search(raw):
            raise FormatRefused("a policy holds no control characters but tabs and newlines")
        lines = raw.decode("utf-8", "surrogateescape").split("\n")
        if len(lines) > MAX_LINES:
            raise FormatRefused(f"a policy of more than {MAX_LINES} lines")
        for number, line in enumerate(lines, start=1):
            try:
                self.line(line)
            except FormatRefused as refused:
                raise FormatRefused(f"policy line {number}: {refused.why}") from None
        if self.quorum is None:
            raise FormatRefused("a policy has a quorum line")
        return Policy(tuple(self.logs), tuple(self.witnesses), tuple(self.groups), self.quorum)

    def line(self, line: str) -> None:
        stripped = line.strip(" \t")
        if not stripped or stripped.startswith("#"):
            return
        keyword, *items = _BLANK.split(stripped)
        match keyword, items:
            case "log", [vkey, *url] if len(url) <= 1:
                self.log(vkey, url)
            case "witness", [name, vkey, *url] if len(url) <= 1:
                self.witness(name, vkey, url)
            case "group", [name, threshold, *members]:
                self.group(name, threshold, members)
            case "quorum", [name]:
                self.set_quorum(name)
            case _:
                raise FormatRefused("neither a log, a witness, a group nor the quorum, written as these are")

    def log(self, vkey: str, url: Sequence[str]) -> None:
        self.logs.append(TrustedLog(_key(vkey, _LOG_TYPES, [log.key for log in self.logs]), _only(url)))

    def witness(self, name: str, vkey: str, url: Sequence[str]) -> None:
        self.define(name)
        key = _key(vkey, _WITNESS_TYPES, [witness.key for witness in self.witnesses])
        self.witnesses.append(TrustedWitness(name, key, _only(url)))

    def group(self, name: str, threshold: str, members: Sequence[str]) -> None:
        shorthand: Mapping[str, int] = {"all": len(members), "any": 1}
        needed = shorthand[threshold] if threshold in shorthand else from_decimal(threshold, what="a group's threshold")
        if not 1 <= needed <= len(members):
            raise FormatRefused("a group's threshold is at least 1 and at most the number of its members")
        for member in members:
            self.referred(member)
            if member in self.members:
                # Or one witness could be counted twice.
                raise FormatRefused(f"{member} is already a member of a group")
            self.members.add(member)
        self.define(name)
        self.groups.append(Group(name, needed, tuple(members)))

    def set_quorum(self, name: str) -> None:
        if self.quorum is not None:
            raise FormatRefused("a second quorum line")
        if name != NOBODY:
            self.referred(name)
        self.quorum = name

    def define(self, name: str) -> None:
        if name == NOBODY or name in self.defined:
            raise FormatRefused(f"the name {name} is already taken")
        self.defined.add(name)

    def referred(self, name: str) -> None:
        if name not in self.defined:
            raise FormatRefused(f"no line above defines {name}")


def _key(vkey: str, types: Collection[KeyType], earlier: Collection[VerifierKey]) -> VerifierKey:
    key = VerifierKey.parse(vkey)
    if key.type not in types:
        raise FormatRefused("a vkey of a type that does not sign this")
    # By the key itself, not by name or id: the same key under two names would count as two.
    if any(key.public == other.public for other in earlier):
        raise FormatRefused(f"the key of {key.name} is already listed")
    return key


def _only(items: Sequence[str]) -> str | None:
    return items[0] if items else None
