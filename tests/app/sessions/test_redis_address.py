"""Redis URLs: what they say, and what is said of wrong ones."""

from __future__ import annotations

import pytest

from app.sessions.redis_address import RedisAddress


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://cache", RedisAddress(hosts=(("cache", 6379),))),
        ("redis://cache:7000/3", RedisAddress(hosts=(("cache", 7000),), db=3)),
        ("redis://cache?db=3", RedisAddress(hosts=(("cache", 6379),), db=3)),
        ("redis://:secret@cache", RedisAddress(hosts=(("cache", 6379),), password="secret")),
        (
            "redis://me:p%40ss%2Fword@cache",
            RedisAddress(hosts=(("cache", 6379),), username="me", password="p@ss/word"),
        ),
        ("redis://[::1]:7000", RedisAddress(hosts=(("::1", 7000),))),
        (
            "rediss://cache?ssl_ca_certs=/ca.pem",
            RedisAddress(hosts=(("cache", 6379),), tls=True, options={"ssl_ca_certs": "/ca.pem"}),
        ),
        (
            "redis+sentinel://me:secret@one:26379,two,three:5/mymaster/2",
            RedisAddress(
                hosts=(("one", 26379), ("two", 26379), ("three", 5)),
                service="mymaster",
                db=2,
                username="me",
                password="secret",
            ),
        ),
        (
            "rediss+sentinel://one/mymaster?sentinel_password=other",
            RedisAddress(hosts=(("one", 26379),), service="mymaster", tls=True, options={"sentinel_password": "other"}),
        ),
        ("unix:///run/redis.sock?db=1", RedisAddress(path="/run/redis.sock", db=1)),
    ],
)
def test_a_url_is_read(url: str, address: RedisAddress) -> None:
    assert RedisAddress.parse(url) == address


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("http://cache", "http"),
        ("cache:6379", "cache:6379"),
        ("redis://cache:many", "many"),
        ("redis://cache:99999", "99999"),
        ("redis://cache/first", "first"),
        ("redis://one,two", "2 hosts"),
        ("redis+sentinel://one,two", "Sentinel service"),
        ("redis://cache?ssl_cert_reqs=none", "ssl_cert_reqs"),
    ],
)
def test_a_wrong_url_is_refused_by_what_is_wrong(url: str, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        RedisAddress.parse(url)


def test_no_text_about_an_address_shows_a_password() -> None:
    url = "rediss+sentinel://me:hidden1@one/mymaster?sentinel_password=hidden2"
    address = RedisAddress.parse(url)
    assert "hidden" not in repr(address) + str(address)
    with pytest.raises(ValueError, match="scheme") as refused:
        RedisAddress.parse("ftp://me:hidden@one")
    assert "hidden" not in str(refused.value)
