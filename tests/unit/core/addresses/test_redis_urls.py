"""Every spelling of a Redis address becomes one that all clients read alike, or is refused in one line."""

import pytest
from celery.backends.redis import RedisBackend
from kombu.utils.url import parse_url
from redis.connection import parse_url as redis_py

from batchord.core.addresses.redis import redis_url, tls_files, without_tls_options
from batchord.core.errors import ConfigurationError

CHECKED = "?ssl_cert_reqs=required&ssl_check_hostname=True"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("redis://h:6380/3", "redis://h:6380/3"),
        (" REDIS://h:6380/3\n", "redis://h:6380/3"),
        ("valkey://h:6380/3", "redis://h:6380/3"),
        ("redis://h:6380?db=3", "redis://h:6380/3"),
        ("redis://h", "redis://h/0"),
        ("redis://", "redis://localhost/0"),
        ("redis:///2", "redis://localhost/2"),
        ("redis://:p%40ss@h/1", "redis://:p%40ss@h/1"),
        ("redis://me:p:s=s@h/1", "redis://me:p%3As%3Ds@h/1"),
        ("redis://:p@ss@h/1", "redis://:p%40ss@h/1"),
        ("redis://[::1]:6379/0", "redis://[::1]:6379/0"),
        ("rediss://h:6380/3", f"rediss://h:6380/3{CHECKED}"),
        ("valkeys://h", f"rediss://h/0{CHECKED}"),
        ("rediss://h/0?ssl_cert_reqs=CERT_REQUIRED", f"rediss://h/0{CHECKED}"),
        ("rediss://h/0?ssl_cert_reqs=none", "rediss://h/0?ssl_cert_reqs=none&ssl_check_hostname=False"),
        ("rediss://h/0?ssl_cert_reqs=CERT_NONE", "rediss://h/0?ssl_cert_reqs=none&ssl_check_hostname=False"),
        ("rediss://h/0?ssl_check_hostname=no", "rediss://h/0?ssl_cert_reqs=required&ssl_check_hostname=False"),
        ("rediss://h/0?ssl_ca_certs=/a%20b.pem", f"rediss://h/0{CHECKED}&ssl_ca_certs=%2Fa+b.pem"),
    ],
)
def test_every_spelling_becomes_one(text: str, expected: str) -> None:
    """And that one is not changed again."""
    assert redis_url(text, where="X") == expected
    assert redis_url(expected, where="X") == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sentinel://:s3cret@h:26379/0", "begins with sentinel:// and names Sentinels"),
        ("redis-sentinel://h:26379/0?service_name=main", "names Sentinels"),
        ("redis+sentinel://h:26379/main/0", "the address of the primary"),
        ("rediss+sentinel://h", "names Sentinels"),
        ("redis-cluster://h", "names a cluster"),
        ("unix:///run/redis.sock?db=1", "names a socket"),
        ("redis+socket:///run/redis.sock?virtual_host=1", "names a socket"),
        ("socket:///run/redis.sock", "names a socket"),
        ("redis://:s3cret@a:1,b:2/0", "names several servers"),
        ("redis://a:1/0;redis://b:2/0", "names several servers"),
        ("redis://h/shop", "must name its database by a number"),
        ("redis://h/-1", "must name its database by a number"),
        ("redis://h/0?ssl_ca_certs=/ca.pem", "TLS option ssl_ca_certs, but begins with redis://: write rediss://"),
        ("redis://h/0?socket_timeout=5", "an option that not every client here reads: socket_timeout"),
        ("rediss://h/0?password=s3cret", "an option that not every client here reads: password"),
        ("rediss://h/0?ssl_ca_path=/etc", "ssl_ca_path"),
        ("rediss://h/0?ssl_cert_reqs=maybe", "has a wrong ssl_cert_reqs: write required, optional or none"),
        ("rediss://h/0?ssl_check_hostname=maybe", "has a wrong ssl_check_hostname: write true or false"),
        ("rediss://h/0?ssl_keyfile=/key", "but no ssl_certfile"),
        ("redis://:s3#cret@h/0", "cannot be read"),
        ("redis://:s3/cret@h/0", "cannot be read"),
        ("redis://h:port/0", "cannot be read"),
        ("redis://::1/0", "cannot be read"),
        ("http://h/0", "must be an address of Redis"),
        ("amqp://u:s3cret@h", "must be an address of Redis"),
        ("redis.example.com:6379", "must be an address of Redis"),
        ("", "must be an address of Redis"),
    ],
)
def test_what_not_every_client_can_use_is_refused(text: str, words: str) -> None:
    """In one line that names the variable, and no secret."""
    with pytest.raises(ConfigurationError) as caught:
        redis_url(text, where="BATCHORD_REDIS_URL")
    (line,) = str(caught.value).splitlines()
    assert line.startswith("BATCHORD_REDIS_URL ")
    assert words in line
    assert "s3" not in line


@pytest.mark.parametrize("text", ["redis://me:p%2Fs%25@h:6380/3", "valkey://:p@h?db=7", "rediss://[::1]/2"])
def test_all_clients_read_the_same_from_it(text: str) -> None:
    """Kombu, Celery's result backend, and redis-py."""
    address, _ = without_tls_options(redis_url(text, where="X"))
    kombu, ours = parse_url(address), redis_py(address)
    backend = RedisBackend._params_from_url(RedisBackend, address, {})  # noqa: SLF001 -- reads the address alone
    assert (kombu["hostname"], kombu["port"]) == (ours["host"], ours.get("port"))
    assert (backend["host"], backend.get("port")) == (ours["host"], ours.get("port"))
    assert (kombu["userid"], kombu["password"]) == (ours.get("username"), ours.get("password"))
    assert (backend.get("username"), backend.get("password")) == (ours.get("username"), ours.get("password"))
    assert int(kombu["virtual_host"]) == backend["db"] == ours["db"]


def test_the_options_of_tls_are_distinguished() -> None:
    """By the names that redis-py, Celery and Flower have for them."""
    url = redis_url("rediss://h/0?ssl_ca_certs=/a%20b/%25.pem&ssl_certfile=c&ssl_keyfile=k", where="X")
    address, options = without_tls_options(url)
    assert address == "rediss://h/0"
    assert options == {
        "ssl_cert_reqs": "required",
        "ssl_check_hostname": True,
        "ssl_ca_certs": "/a b/%.pem",
        "ssl_certfile": "c",
        "ssl_keyfile": "k",
    }
    assert tls_files(options) == {"ssl_ca_certs": "/a b/%.pem", "ssl_certfile": "c", "ssl_keyfile": "k"}
    assert without_tls_options("redis://h/0") == ("redis://h/0", {})
