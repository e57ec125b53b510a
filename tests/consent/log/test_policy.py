"""The policy file: what is read, what is refused, and when a quorum is met."""

from itertools import combinations

import pytest

from consent.log.errors import FormatRefused, QuorumMissed, UnknownSigner
from consent.log.policy import Policy
from consent.log.signers import cosigner, ed25519_signer, ml_dsa_signer
from tests.consent.log.growing import LOG, OTHER_LOG, WITNESSES, GrowingLog, seed

W = [str(signer.vkey) for signer in WITNESSES]
MORE = [str(cosigner(f"y{number}.example", seed(f"y{number}")).vkey) for number in range(3)]

# C2SP tlog-policy, Example policy
EXAMPLE = f"""
log {LOG.vkey}

witness X1 {W[0]}
witness X2 {W[1]}
witness X3 {W[2]}
group X-witnesses 2 X1 X2 X3

witness Y1 {MORE[0]}
witness Y2 {MORE[1]}
witness Y3 {MORE[2]}
group Y-witnesses any Y1 Y2 Y3

group X-and-Y all X-witnesses Y-witnesses
quorum X-and-Y
"""


def test_the_specifications_example_means_what_it_says() -> None:
    policy = Policy.parse(EXAMPLE)
    names = ["X1", "X2", "X3", "Y1", "Y2", "Y3"]
    for count in range(7):
        for have in combinations(names, count):
            enough = sum(name[0] == "X" for name in have) >= 2 and any(name[0] == "Y" for name in have)
            assert policy.met_by(have) is enough
    assert policy.in_words() == "2 of (2 of (X1, X2, X3), 1 of (Y1, Y2, Y3))"


def test_urls_comments_and_blanks_are_read() -> None:
    policy = Policy.parse(
        f"# who we trust\n\t \n  log\t{LOG.vkey}   https://log.example/ \n"
        f"\t# Zeugen: ä\nwitness w {W[0]} https://w.example/witness\nquorum w"
    )
    assert policy.logs[0].url == "https://log.example/"
    assert policy.witnesses[0].url == "https://w.example/witness"
    assert policy.met_by(["w"])
    assert not policy.met_by([])


def test_no_witness_at_all_may_be_the_rule() -> None:
    policy = Policy.parse("quorum none\n")
    assert policy.met_by([])
    assert policy.in_words() == "no witness"


def test_names_are_octets() -> None:
    kelvin = "witness K " + W[0] + "\nwitness \u212a " + W[1] + "\ngroup g all K \u212a\nquorum g\n"
    assert Policy.parse(kelvin).in_words() == "2 of (K, \u212a)"
    raw = b"witness \xff " + W[0].encode() + b"\nwitness \xfe " + W[1].encode() + b"\nquorum \xff\n"
    policy = Policy.parse(raw)
    assert policy.witnesses[0].name != policy.witnesses[1].name


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "has a quorum"),
        (f"log {LOG.vkey}\n", "has a quorum"),
        ("quorum none\nquorum none\n", "line 2: a second"),
        ("quorum w\n", "line 1: no line above defines w"),
        (f"quorum w\nwitness w {W[0]}\n", "line 1"),
        ("quorum\n", "line 1: neither"),
        ("quorum none none\n", "line 1: neither"),
        ("quorom none\n", "line 1: neither"),
        ("log\nquorum none\n", "line 1: neither"),
        (f"log {LOG.vkey} https://a https://b\nquorum none\n", "line 1: neither"),
        ("log nonsense\nquorum none\n", "line 1: a vkey"),
        (f"log {W[0]}\nquorum none\n", "line 1: a vkey of a type"),
        (f"log {LOG.vkey}\nlog {LOG.vkey}\nquorum none\n", "line 2: the key"),
        (f"witness w {LOG.vkey}\nquorum w\n", "line 1: a vkey of a type"),
        ("witness w\nquorum w\n", "line 1: neither"),
        (f"witness none {W[0]}\nquorum none\n", "line 1: the name none"),
        (f"witness w {W[0]}\nwitness w {W[1]}\nquorum w\n", "line 2: the name w"),
        (f"witness v {W[0]}\nwitness w {W[0]}\nquorum w\n", "line 2: the key"),
        (f"witness w {W[0]}\ngroup w any w\nquorum w\n", "line 2: the name w"),
        (f"witness w {W[0]}\ngroup g any none\nquorum g\n", "line 2: no line above"),
        (f"witness w {W[0]}\ngroup g any g\nquorum g\n", "line 2: no line above"),
        (f"witness w {W[0]}\ngroup g any\nquorum g\n", "line 2: a group's threshold"),
        (f"witness w {W[0]}\ngroup g 0 w\nquorum g\n", "line 2: a group's threshold"),
        (f"witness w {W[0]}\ngroup g 2 w\nquorum g\n", "line 2: a group's threshold"),
        (f"witness w {W[0]}\ngroup g 01 w\nquorum g\n", "line 2: a group's threshold"),
        (f"witness w {W[0]}\ngroup g most w\nquorum g\n", "line 2: a group's threshold"),
        (f"witness w {W[0]}\ngroup g 2 w w\nquorum g\n", "line 2: w is already"),
        (f"witness w {W[0]}\ngroup g any w\ngroup h any w g\nquorum h\n", "line 3: w is already"),
        ("quorum none\r\n", "control characters"),
        ("quorum none\x7f\n", "control characters"),
        ("quorum\u00a0none\n", "line 1: neither"),
        ("#\n" * 2000 + "quorum none\n", "more than"),
    ],
)
def test_a_policy_that_is_not_written_as_one_is_refused_with_its_line(text: str, why: str) -> None:
    with pytest.raises(FormatRefused, match=why):
        Policy.parse(text)


def test_the_same_key_under_another_name_and_type_is_a_duplicate() -> None:
    one = cosigner("one.example", seed("one")).vkey
    two = cosigner("two.example", seed("one")).vkey
    with pytest.raises(FormatRefused, match="already listed"):
        Policy.parse(f"witness a {one}\nwitness b {two}\ngroup g 2 a b\nquorum g\n")


def test_thirty_two_of_everything_are_read() -> None:
    logs = "".join(f"log {ed25519_signer(f'l{n}', seed(f'l{n}')).vkey}\n" for n in range(32))
    witnesses = "".join(f"witness w{n} {cosigner(f'w{n}', seed(f'w{n}')).vkey}\n" for n in range(32))
    groups = "".join(f"group g{n} any w{n}\n" for n in range(32))
    policy = Policy.parse(f"{logs}{witnesses}{groups}quorum g31\n")
    assert policy.met_by(["w31"])
    assert not policy.met_by([f"w{n}" for n in range(31)])


def test_a_checkpoint_is_enough_with_the_quorum_and_named_short_without() -> None:
    policy = Policy.parse(
        f"log {LOG.vkey}\nwitness a {W[0]}\nwitness b {W[1]}\nwitness c {W[2]}\ngroup g 2 a b c\nquorum g\n"
    )
    log = GrowingLog().append(b"x")
    enough = policy.open(log.checkpoint(cosigners=[WITNESSES[2], WITNESSES[0]]))
    assert policy.require_quorum(enough) == ("a", "c")
    # A stranger's cosignature does not count.
    short = policy.open(log.checkpoint(cosigners=[WITNESSES[1], WITNESSES[3]]))
    with pytest.raises(QuorumMissed, match=r"cosigned by b; the policy wants 2 of \(a, b, c\)"):
        policy.require_quorum(short)
    with pytest.raises(QuorumMissed, match="no witness"):
        policy.require_quorum(policy.open(log.checkpoint()))


def test_the_witnesses_alone_do_not_make_a_checkpoint() -> None:
    policy = Policy.parse(f"log {OTHER_LOG.vkey}\nwitness a {W[0]}\nquorum a\n")
    with pytest.raises(UnknownSigner):
        policy.open(GrowingLog().append(b"x").checkpoint(cosigners=WITNESSES[:1]))


def test_a_policy_is_narrowed_to_one_log() -> None:
    both = Policy.parse(f"log {LOG.vkey}\nlog {OTHER_LOG.vkey}\nquorum none\n")
    assert [log.key for log in both.of_log(LOG.vkey).logs] == [LOG.vkey]
    assert [log.key for log in Policy().of_log(LOG.vkey).logs] == [LOG.vkey]
    with pytest.raises(FormatRefused, match="does not list"):
        Policy.parse(f"log {OTHER_LOG.vkey}\nquorum none\n").of_log(LOG.vkey)


def test_a_witness_may_sign_with_ml_dsa() -> None:
    quantum = ml_dsa_signer("q.example", seed("q"))
    policy = Policy.parse(f"log {LOG.vkey}\nwitness q {quantum.vkey}\nquorum q\n")
    opened = policy.open(GrowingLog().append(b"x").checkpoint(cosigners=[quantum]))
    assert policy.require_quorum(opened) == ("q",)
