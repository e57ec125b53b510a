"""A second verifier of consent receipts, on one page, that shares no line with the service that issues them.

    python verify_receipt.py RECEIPT.json TRUST.json        Python 3.9 and `cryptography`; no network

TRUST.json is the service's `/log/trust.json`, from somebody whom you believe: the log's public key, the keys that sign
receipts, and which witnesses must have seen the log. What is shown:

    1 the service signed this record         4 the commitment is a leaf of the log's tree
    2 the record is about this event         5 the log signed that tree
    3 event and opening give the commitment  6 enough independent witnesses saw it

So nobody can be shown another history, without this event. Exit codes: 0 holds, 1 refused, 2 usage, 3 not yet logged.
"""

import base64
import hashlib
import hmac
import json
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

LABEL = b"Satu Pintu: what was agreed, and what was done with it, in a log that its keeper cannot rewrite."


class Refused(Exception):
    """The receipt does not hold; the text says why."""


def need(holds, why):
    if not holds:
        raise Refused(why)


def read_json(data):
    """JSON that can be read in one way only (RFC 7493)."""

    def once(pairs):
        need(len(dict(pairs)) == len(pairs), "a member name appears twice")
        return dict(pairs)

    def number(text):
        need(len(text) < 18 and abs(int(text)) < 2**53, "a number that others would read differently")
        return int(text)

    try:
        value = json.loads(data.decode(), object_pairs_hook=once, parse_int=number, parse_constant=int)
        return value if json.dumps(value, ensure_ascii=False).encode() else None
    except (ValueError, RecursionError) as wrong:
        raise Refused(f"not JSON: {wrong}") from None


def canonical(value):
    """The one text of a JSON value (RFC 8785), of values that have no fractions."""
    if isinstance(value, dict):
        names = sorted(value, key=lambda name: name.encode("utf-16-be"))
        return "{" + ",".join(f"{canonical(name)}:{canonical(value[name])}" for name in names) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    need(value is None or isinstance(value, (str, bool, int)), "the event has a value without one written form")
    return json.dumps(value, ensure_ascii=False)


def b64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def b64(text, url=False):
    """Base64 (or, with `url`, base64url without padding) that can be written in one way only."""
    need(isinstance(text, str) and text.isascii(), "not base64")
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), b"-_" if url else None, validate=True)
    except ValueError:
        raise Refused("not base64") from None
    need((b64url(data) if url else base64.b64encode(data).decode()) == text, "base64 that can be written otherwise")
    return data


def decimal(text):
    need(text.isascii() and text.isdigit() and str(int(text)) == text, "a number is not written as one")
    return int(text)


def read_vkey(vkey):
    """A key for notes (C2SP signed-note): name, type, id, key. None for a type that this page does not know (ML-DSA)."""
    name, written_id, data = (vkey.split("+", 2) + ["", ""])[:3]
    raw = b64(data)
    key_id = hashlib.sha256(name.encode() + b"\n" + raw).digest()[:4]
    need(name and written_id == key_id.hex(), f"the key of {name} is not written as keys are")
    return name, raw[0], key_id, Ed25519PublicKey.from_public_bytes(raw[1:]) if raw[0] in (1, 4) else None


def check_note(note, keys):
    """The note's text, and the ids of those keys that signed it (type 1: the text; type 4: with the time of signing)."""
    text, blank, lines = note.rpartition("\n\n")
    need(blank and lines.endswith("\n"), "the checkpoint is not a signed note")
    text, signed = text + "\n", set()
    for line in lines[:-1].split("\n"):
        words = line.split(" ")
        need(len(words) == 3 and words[0] == "—", "a signature line is not written as one")
        raw = b64(words[2])
        for name, kind, key_id, key in keys:
            if (name, key_id) == (words[1], raw[:4]) and key is not None:
                time, signature = (int.from_bytes(raw[4:12], "big"), raw[12:]) if kind == 4 else (None, raw[4:])
                try:
                    key.verify(signature, (f"cosignature/v1\ntime {time}\n" * (kind == 4) + text).encode())
                except InvalidSignature:
                    raise Refused(f"the checkpoint's signature by {name} is forged") from None
                signed.add(key_id)
    return text, signed


def quorum_is_met(policy, names):
    """Whether these witnesses are enough for the policy (C2SP tlog-policy)."""
    met, quorum = {"none", *names}, None
    for words in filter(None, map(str.split, policy.split("\n"))):
        if words[0] == "group":
            least = {"all": len(words) - 3, "any": 1}.get(words[2]) or decimal(words[2])
            met |= {words[1]} if sum(member in met for member in words[3:]) >= least else set()
        quorum = words[1] if words[0] == "quorum" else quorum
    return quorum in met


def root_from(leaf, index, size, path):
    """The root of the tree in which the leaf is, if the proof is right (RFC 9162 §2.1.3.2)."""
    need(index < size, "the leaf is beyond the end of the tree")
    last, node = size - 1, hashlib.sha256(b"\x00" + leaf).digest()
    for other in path:
        need(last > 0 and len(other) == 32, "the proof is too long, or not of hashes")
        if index % 2 or index == last:
            node = hashlib.sha256(b"\x01" + other + node).digest()
            while index and not index % 2:
                index, last = index // 2, last // 2
        else:
            node = hashlib.sha256(b"\x01" + node + other).digest()
        index, last = index // 2, last // 2
    need(last == 0, "the proof is too short")
    return node


def check_jws(jws, jwks):
    """The claims that one of the keys for receipts signed (RFC 7515 §5.2, RFC 8037 §3.1)."""
    parts = jws.split(".")
    need(len(parts) == 3, "the receipt is not a compact JWS")
    header, claims, signature = (b64(part, url=True) for part in parts)
    header = read_json(header)
    need(isinstance(header, dict) and header.get("typ") == "consent-receipt+jwt", "the signed token is no receipt")
    need("crit" not in header and header.get("alg") in ("EdDSA", "Ed25519"), "the receipt's header is not known here")
    keys = [key for key in jwks["keys"] if key.get("kid") == header.get("kid") and key.get("crv") == "Ed25519"]
    need(len(keys) == 1 and keys[0].get("alg", header["alg"]) == header["alg"], "no trusted key signed the receipt")
    try:
        Ed25519PublicKey.from_public_bytes(b64(keys[0]["x"], url=True)).verify(signature, ".".join(parts[:2]).encode())
    except InvalidSignature:
        raise Refused("the receipt's signature was not made by its key") from None
    claims = read_json(claims)
    need(isinstance(claims, dict) and isinstance(claims.get("log"), dict), "the signed record is not about a log")
    return claims


def verify(data, trust):
    """What the receipt shows; None if it is not in the log yet. Raises `Refused`."""
    file, log = read_json(data), read_vkey(trust["log"])
    need(isinstance(file, dict) and file.get("format") == "satupintu-receipt/1", "the file is no receipt")
    need(set(file) | {"proof"} == {"format", "receipt", "event", "kind", "proof"}, "it holds more, or less")
    right = isinstance(file["receipt"], str) and isinstance(file["event"], dict) and type(file["kind"]) is int
    need(right and 1 <= file["kind"] <= 8, "a member is not of its type")
    claims, event = check_jws(file["receipt"], trust["receipts"]), canonical(file["event"]).encode()  # 1
    need(claims.get("event_sha256") == b64url(hashlib.sha256(event).digest()), "the record is about another event")  # 2
    need(claims["log"].get("origin") == log[0], "the record is about another log")
    if file.get("proof") is None:
        return None
    head, blank, note = str(file["proof"]).partition("\n\n")
    start, opening, index, *path = [*head.split("\n"), "", ""]
    need(blank and start == "c2sp.org/tlog-proof@v1", "the proof is no tlog-proof")
    need(opening[:6] == "extra " and index[:6] == "index ", "the proof lacks the opening or the index")
    opening, index, path = b64(opening[6:]), decimal(index[6:]), list(map(b64, path[:-2]))
    commitment = hmac.digest(hashlib.sha256(LABEL).digest(), b"consentlog commit v1" + opening + event, "sha256")
    need(len(opening) == 32 and claims["log"].get("commitment") == b64url(commitment), "it was not committed to")  # 3
    policy = trust.get("policy") or "quorum none"
    witnesses = {w[1]: read_vkey(w[2]) for w in map(str.split, policy.split("\n")) if w[:1] == ["witness"]}
    text, signed = check_note(note, [log, *witnesses.values()])
    origin, size, root, *rest = text.split("\n")
    need(log[2] in signed and origin == log[0] and rest, "the log did not sign the checkpoint")  # 5
    leaf = b"consentlog/v1\n" + bytes([file["kind"]]) + commitment
    need(root_from(leaf, index, decimal(size), path) == b64(root), "the event is not in the tree")  # 4
    names = [name for name, key in witnesses.items() if key[2] in signed]
    need(quorum_is_met(policy, names), "too few of the witnesses have seen this tree")  # 6
    return {"log": origin, "index": index, "tree_size": int(size), "witnesses": names, "event": file["event"]}


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(print(__doc__) or 2)
    try:
        shown = verify(open(sys.argv[1], "rb").read(), read_json(open(sys.argv[2], "rb").read()))
    except Refused as refused:
        sys.exit(print(f"refused: {refused}") or 1)
    sys.exit(print(json.dumps(shown, indent=2) if shown else "signed, not yet in the log") or (0 if shown else 3))
