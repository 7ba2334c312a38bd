"""No password comes through, and text without one stays readable."""

from urllib.parse import quote

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from batchord.core.secrets.patterns import MASK, masked, masked_value, without

WORD = "hunter2-Xq7"
#: What stands in words that are masked or not: every character and word that the patterns look at.
PIECES = [
    *"abc 5@:/?#=&,;.-_*'\"`\\()[]{}<>\n\t",
    "://",
    "https://h/",
    "redis://u:p@h",
    "password",
    "token=",
    "Bearer abcdefgh",
    "Authorization: ",
    "--secret ",
    "-----BEGIN PRIVATE KEY-----",
    "-----END PRIVATE KEY-----",
    "hf_abcdefghijklmnopqr",
    '\\"',
    MASK,
]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgresql+psycopg://u:{}@h:5432/db", "postgresql+psycopg://u:***@h:5432/db"),
        ("redis://:{}@127.0.0.1:6379/0", "redis://:***@127.0.0.1:6379/0"),
        ("https://{}@example.com/hook", "https://***@example.com/hook"),
        ("https://{}:@example.com/hook", "https://***@example.com/hook"),
        ("postgresql://me@corp:{}@h/db", "postgresql://***@h/db"),
        ("mongodb://u:{}@h1:27017,h2:27017/db", "mongodb://u:***@h1:27017,h2:27017/db"),
        ("redis://:{0}@h1,redis://:{0}@h2/0", "redis://:***@h1,redis://:***@h2/0"),
        ("from postgresql://u:{0}@h/a to mysql://v:{0}@h/b", "from postgresql://u:***@h/a to mysql://v:***@h/b"),
        ("postgresql://u:p@h/db?password={}&sslmode=require", "postgresql://u:***@h/db?password=***&sslmode=require"),
        ("https://s3/b/k?X-Amz-Signature={}&X-Amz-Expires=9", "https://s3/b/k?X-Amz-Signature=***&X-Amz-Expires=9"),
        ("https://store/b/k?sv=1&sig={}", "https://store/b/k?sv=1&sig=***"),
        ("create_engine('mysql://u:{}@h/db', echo=True)", "create_engine('mysql://u:***@h/db', echo=True)"),
    ],
)
def test_secrets_in_addresses_are_masked(text: str, expected: str) -> None:
    """Host, database and the other parameters stay, since they say what to look at."""
    assert masked(text.format(WORD)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("password={} host=h", "password=*** host=h"),
        ("password='{} and more' host=h", "password='***' host=h"),
        ("Password: {}", "Password: ***"),
        ("Server=h;Password={};Database=d", "Server=h;Password=***;Database=d"),
        ('{{"password": "{} \\" and more", "n": 1}}', '{"password": "***", "n": 1}'),
        ("{{'api_key': '{}', 'n': 1}}", "{'api_key': '***', 'n': 1}"),
        ('"{{\\"client_secret\\": \\"{}\\", \\"n\\": 1}}"', '"{\\"client_secret\\": \\"***\\", \\"n\\": 1}"'),
        ("Settings(s3_secret_access_key={}, region=eu)", "Settings(s3_secret_access_key=***, region=eu)"),
        ("AWS_SECRET_ACCESS_KEY={}/x+y==", "AWS_SECRET_ACCESS_KEY=***"),
        ("PGPASSWORD = {}", "PGPASSWORD = ***"),
        ("password = {}==", "password = ***"),
        ("password={},with;separators&in it", "password=*** it"),
        ("password=b'{}'", "password=***'"),
        ("password='{}", "password='***"),
        ("Authorization: Bearer {}", "Authorization: Bearer ***"),
        ("Authorization: Basic {}==", "Authorization: Basic ***"),
        ("('Authorization', 'Bearer {}')", "('Authorization', 'Bearer ***')"),
        ("mysql --password {} --host h", "mysql --password *** --host h"),
        ("curl --api-token={}", "curl --api-token=***"),
        ("a token hf_aaaabbbbccccdddd1111 leaked", "a token *** leaked"),
        ("a\n-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----\nb", "a\n***\nb"),
    ],
)
def test_values_that_are_called_a_secret_are_masked(text: str, expected: str) -> None:
    """In connection strings, JSON, representations, headers, variables and commands."""
    assert masked(text.format(WORD)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "token count: 5 records",
        "the key column id",
        "https://host/path",
        "https://host:8080/users/@me?mail=a@example.com",
        "https://user.example.com/a:b@c",
        "http://[::1]:8080/a@b",
        "s3://bucket/key:with@sign",
        "mail ops@example.com, then see postgresql://h:5432/db",
        'password authentication failed for user "reviews"',
        "fe_sendauth: no password supplied",
        "max_tokens=512 token_count: 40",
        "tokenizer: bert-base, pad_token='[PAD]', tokenize=yes",
        "password: None, secret=null, {'token': ''}",
        "password= host=h",
        "The lease token changed: another worker owns shard 3.",
        "12:30:05 host:5432 a=b key=id bearer of news",
        "batchord show 01970000-0000-7: the token max_tokens, --token max_tokens, bearer max_tokens",
        "password: must have 8 characters; secret: the best; token: hello; --password to be asked",
        "PASSWORD=$PASSWORD password=<password> password={password} --password ${PASSWORD}",
        "sk-learn-compatible-estimator-v2 hf_hub_download_with_retries task-abcdefghijklmnopqr",
        "next tokens: 64 tokens_per_second=1234567.8 token_ids=[101,2054] signature=(a, b)",
        "docker run --user 1000:1000 image; curl https://h/a:b | sort -u x:y",
        "eyJub3QiOiJhIHRva2VuIn0= is no token of three parts",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
        "secretary=Ann passwords=3 authorization failed",
        "between 3 and 64 tokens: correct max_tokens, or the token: correct it",
    ],
)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    """An error that is masked as a whole does not help."""
    assert masked(text) == text


def test_a_traceback_keeps_its_lines() -> None:
    """Only the secrets in it go."""
    text = (
        "Traceback (most recent call last):\n"
        '  File "app/x.py", line 3, in connect\n'
        f"    engine = create_engine('postgresql://u:{WORD}@h/db')\n"
        f"OperationalError: cannot connect with password={WORD} host=h\n"
        "  and a last line\n"
    )

    assert masked(text) == text.replace(WORD, MASK)


@given(st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1))
@example("p@ss")
@example("a/b:c@d?e#f")
@example("100%")
def test_any_password_of_an_address_is_masked(password: str) -> None:
    """Escaped as it should be, or not, as people write it."""
    # Then it is a port, a second address, or the end of a text in quotes, for all that can be seen.
    head = password.lstrip("0123456789")
    assume(not (head != password and head.startswith(("/", "?", "#"))))
    assume("://" not in password)
    assume(not any(quote_mark in password for quote_mark in "\"'`"))
    assume(password.strip("@"))

    for written in (password, quote(password, safe="")):
        assert masked(f"see redis://user:{written}@host/0 now") == "see redis://user:***@host/0 now"


@given(st.text(st.characters(exclude_categories=["C", "Z"]), min_size=6))
def test_known_secrets_are_masked_wherever_they_stand(secret: str) -> None:
    """In their own form and in that of URLs."""
    assume("before  after".find(secret) < 0 and secret.strip("*"))

    assert secret not in masked(f"before {secret} after", known=[secret])
    assert quote(secret, safe="") not in masked(f"before {quote(secret, safe='')} after", known=[secret])


def test_short_known_secrets_are_left() -> None:
    """They stand in ordinary words; the longest goes first, so that nothing of it is left over."""
    assert masked("a test of secretA-long", known=["test", "secretA", "secretA-long"]) == "a test of ***"


@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join))
@example("://u:secret=x://y/,a=1@h")
@example("://token:12345@h")
def test_masked_text_is_masked_no_further(text: str) -> None:
    """It passes several places that mask."""
    once = masked(text)

    assert masked(once) == once


@given(st.text())
def test_any_text_can_be_masked(text: str) -> None:
    """Errors hold whatever was read."""
    assert masked(masked(text)) == masked(text)


@pytest.mark.parametrize(
    "piece",
    [
        "a.",
        "a-",
        "-",
        "--",
        "://",
        "://a:",
        "://a:@",
        "token",
        "token=",
        "password='",
        'password="',
        ",a",
        "\\",
        "eyJ-",
    ],
)
@pytest.mark.parametrize("start", ["", "password=", "a://u:"])
def test_a_long_line_of_one_piece_comes_to_an_end(piece: str, start: str) -> None:
    """A pattern that goes back and forth would take hours for it: the limit for tests ends this."""
    line = start + piece * (300_000 // len(piece))

    assert masked(line + "\nlast") != ""


def test_every_text_within_a_value_is_masked() -> None:
    """However deep it lies; what is called a secret goes as a whole, and numbers and names stay."""
    value = {
        "broker": {"alternates": [f"redis://:{WORD}@h1"], "port": 6379, "password": "short"},
        "error": (f"cannot reach redis://:{WORD}@h2", None, True),
        "routing_key": "control",
        "api_key": "",
        "known": "a b c-known-c",
        7: 1.5,
    }

    assert masked_value(value, known=["c-known-c"]) == {
        "broker": {"alternates": [f"redis://:{MASK}@h1"], "port": 6379, "password": MASK},
        "error": (f"cannot reach redis://:{MASK}@h2", None, True),
        "routing_key": "control",
        "api_key": "",
        "known": f"a b {MASK}",
        7: 1.5,
    }


@pytest.mark.parametrize(
    "written", ["p&<\"'>w-1", "p&amp;&lt;&quot;&#x27;&gt;w-1", "p&<\\\"'>w-1", "p%26%3C%22%27%3Ew-1"]
)
def test_a_known_secret_is_found_as_pages_write_it(written: str) -> None:
    """It is found escaped for HTML, JSON and URLs. All other text stays, even where it looks like a secret."""
    page = "<input name=password value=x> {}"

    assert without(["p&<\"'>w-1"], page.format(written)) == page.format(MASK)
