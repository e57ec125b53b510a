"""Where the provider may send to: what a URL may look like, and which addresses are nobody's business."""

from ipaddress import ip_address, ip_network

import pytest

from idp.outbound.addresses import OutboundPolicy, check_address, is_public, read_target
from idp.outbound.errors import REASONS, FetchRefused

PRODUCTION = OutboundPolicy()
AT_HOME = OutboundPolicy(development=True, private_networks=(ip_network("127.0.0.0/8"),))

NOT_PUBLIC = (
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "192.0.0.8",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "64:ff9b::7f00:1",
    "64:ff9b::808:808",
    "2002:7f00:1::",
    "2001::1",
    "2001:db8::1",
    "fc00::1",
    "fd12:3456::1",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
)


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    assert not is_public(ip_address(address))
    with pytest.raises(FetchRefused) as refused:
        check_address(ip_address(address), read_target("https://instansi.example/", PRODUCTION), PRODUCTION)
    assert refused.value.reason == "unreachable"


@pytest.mark.parametrize("address", ["8.8.8.8", "103.10.60.1", "2404:6800:4003::1", "2606:4700::1111"])
def test_a_public_address_is_allowed(address: str) -> None:
    assert is_public(ip_address(address))
    check_address(ip_address(address), read_target("https://instansi.example/", PRODUCTION), PRODUCTION)


@pytest.mark.parametrize(
    "url",
    [
        "http://instansi.example/",
        "ftp://instansi.example/",
        "file:///etc/passwd",
        "gopher://instansi.example/",
        "data:text/plain,x",
        "//instansi.example/",
        "instansi.example",
        "https://",
        "https:///path",
        "https://user@instansi.example/",
        "https://user:secret@instansi.example/",
        "https://instansi.example/#part",
        "https://instansi.example:22/",
        "https://instansi.example:5432/",
        "https://instansi.example:8443/",
        "https://instansi.example:0/",
        "https://instansi.example:99999/",
        "https://instansi.example:x/",
        "https://instansi.example\\@evil.example/",
        "https://instansi.example/a b",
        "https://instansi.example/\r\nX: y",
        "https://insta\u0144si.example/",
        "https://[::1",
        "https://[fe80::1%25eth0]/",
        "https://-instansi.example/",
        "https://" + "a" * 2000,
    ],
)
def test_a_url_that_is_no_plain_https_address_is_refused(url: str) -> None:
    with pytest.raises(FetchRefused) as refused:
        read_target(url, PRODUCTION)
    assert refused.value.reason == "not_an_address"


@pytest.mark.parametrize("host", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "[::1]", "[::ffff:127.0.0.1]"])
def test_a_literal_address_is_refused_before_anything_is_sent(host: str) -> None:
    with pytest.raises(FetchRefused) as refused:
        read_target(f"https://{host}/", PRODUCTION)
    assert refused.value.reason == "unreachable"


def test_a_developers_named_network_may_be_sent_to_without_tls_and_at_high_ports() -> None:
    assert read_target("http://127.0.0.1:8080/events?a=b", AT_HOME).path == "/events?a=b"
    assert read_target("https://127.0.0.1:8443/", AT_HOME).authority == "127.0.0.1:8443"
    for url in ("http://127.0.0.1/", "http://127.0.0.1:22/", "http://10.0.0.1:8080/", "http://8.8.8.8:8080/"):
        with pytest.raises(FetchRefused):
            read_target(url, AT_HOME)


def test_production_names_no_private_network_even_if_it_is_told_to() -> None:
    policy = OutboundPolicy(development=False, private_networks=AT_HOME.private_networks)
    with pytest.raises(FetchRefused):
        read_target("http://127.0.0.1:8080/", policy)


def test_what_is_told_does_not_map_the_network() -> None:
    """A refused address and a shut port are one sentence to whoever registered the endpoint."""
    with pytest.raises(FetchRefused) as refused:
        read_target("https://10.0.0.1/", PRODUCTION)
    assert refused.value.told == REASONS["unreachable"]
    assert "10.0.0.1" not in str(refused.value)
    assert "10.0.0.1" in refused.value.detail
