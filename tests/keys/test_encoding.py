import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys.encoding import b64url_decode, b64url_encode, canonical_json, strict_json_loads
from keys.errors import MalformedEncoding


@given(st.binary(max_size=200))
def test_what_is_encoded_is_decoded_again(data: bytes) -> None:
    assert b64url_decode(b64url_encode(data)) == data


@given(st.text(alphabet=st.sampled_from("AQgw_-=+/ \n"), max_size=12))
def test_only_one_text_stands_for_some_bytes(text: str) -> None:
    try:
        data = b64url_decode(text)
    except MalformedEncoding:
        return
    assert b64url_encode(data) == text


@pytest.mark.parametrize(
    "text", ["QQ==", "QQ=", "Q", "QR", "+/+/", "Q Q", "QQ\n", "\nQQ", "QQ.", "ＱＱ", "QUF", "QUJ\x00"]
)
def test_base64url_that_we_would_not_write_is_refused(text: str) -> None:
    with pytest.raises(MalformedEncoding):
        b64url_decode(text)


def test_names_are_sorted_by_utf16_as_in_rfc_8785_section_3_2_3() -> None:
    value = {
        "€": "Euro Sign",
        "\r": "Carriage Return",
        "\ufb33": "Hebrew Letter Dalet With Dagesh",
        "1": "One",
        "😀": "Emoji: Grinning Face",
        "\u0080": "Control",
        "ö": "Latin Small Letter O With Diaeresis",
    }
    names = list(json.loads(canonical_json(value)))
    assert names == ["\r", "1", "\u0080", "ö", "€", "😀", "\ufb33"]


def test_strings_are_written_as_in_rfc_8785_section_3_2_2() -> None:
    text = r'{"string": "\u20ac$\u000F\u000aA\u0027\u0042\u0022\u005c\\\"\/", "literals": [null, true, false]}'
    assert canonical_json(json.loads(text)) == (
        b'{"literals":[null,true,false],"string":"\xe2\x82\xac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    )


@pytest.mark.parametrize(
    "value",
    [1.0, float("nan"), {1: "a"}, {None: 1}, 2**53, -(2**53), b"a", (1,), {"a": {1}}, "\ud800", {"\ud800": 1}],
    ids=repr,
)
def test_a_value_without_one_canonical_form_is_refused(value: object) -> None:
    with pytest.raises(MalformedEncoding):
        canonical_json(value)


def test_a_value_that_holds_itself_has_no_canonical_form() -> None:
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(MalformedEncoding, match="deeper"):
        canonical_json(endless)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.text(st.characters(codec="utf-8"), max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=5), inner)
    ),
    max_leaves=10,
)


@given(json_values)
def test_canonical_json_reads_back_as_the_same_value_and_is_stable(value: object) -> None:
    written = canonical_json(value)
    assert strict_json_loads(written, max_bytes=100_000) == value
    assert canonical_json(json.loads(written)) == written


@pytest.mark.threat("N40")
@pytest.mark.parametrize(
    "text",
    [
        '{"a":1,"a":2}',
        '{"a":{"b":1,"b":1}}',
        '{"a":1,"\\u0061":2}',
        "NaN",
        "Infinity",
        "-Infinity",
        "1e400",
        "-1e400",
        '"\\ud800"',
        '"\\uD800"',
        '{"\\udc00":1}',
        "1" * 5000,
        "9007199254740992",
        "-9007199254740992",
        "1" * 400,
        "[" * 33 + "]" * 33,
        '{"a":' * 33 + "1" + "}" * 33,
        "[" * 7000,
        "",
        "{",
        "{}{}",
        "{'a':1}",
        "[1,]",
        "\ufeff{}",
        b"\xff\xfe",
        b'"\xed\xa0\x80"',
        "\ud800",
    ],
    ids=lambda text: repr(text)[:30],
)
def test_json_that_two_readers_could_read_differently_is_refused(text: bytes | str) -> None:
    with pytest.raises(MalformedEncoding):
        strict_json_loads(text, max_bytes=16384)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 32 + "]" * 32,
        '["' + "[" * 100 + '"]',
        '"\\"[' + "[" * 100 + '"',
        '"\\ud83d\\ude00"',
        "1.5",
        "-9007199254740991",
        "[[],[]]" + " " * 9,
    ],
    ids=lambda text: text[:20],
)
def test_json_that_can_only_be_read_one_way_is_taken(text: str) -> None:
    assert strict_json_loads(text, max_bytes=16384) == json.loads(text)


def test_json_is_measured_before_it_is_parsed() -> None:
    assert strict_json_loads('"é"', max_bytes=4) == "é"
    with pytest.raises(MalformedEncoding, match="more than 3 bytes"):
        strict_json_loads('"é"', max_bytes=3)


@pytest.mark.threat("N88")
@pytest.mark.timeout(5)
@pytest.mark.parametrize("hostile", [b'["' + b'\\"' * 200_000, b"[" * 40 + b'"' * 400_000, b"[" * 40 + b"\\" * 400_000])
def test_measuring_the_depth_of_hostile_text_takes_one_pass(hostile: bytes) -> None:
    with pytest.raises(MalformedEncoding):
        strict_json_loads(b"[" * 33 + hostile, max_bytes=1_000_000)
