"""Secrets in commands, webhooks and tokens, and known ones in each way to write them."""

import base64
import json
import re
import shlex
from urllib.parse import quote, quote_plus

import pytest

from batchord.core.secrets.patterns import MASK, masked, without

WORD = "hunter2-Xq7"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("curl -u bob:{} https://h", "curl -u bob:*** https://h"),
        ("+ curl -sSu 'bob:{}' https://h", "+ curl -sSu 'bob:***' https://h"),
        ("curl --user=bob:{}", "curl --user=bob:***"),
        ("curl -x p --proxy-user bob:{}", "curl -x p --proxy-user bob:***"),
        ("curl \\\n  -u bob:{} x", "curl \\\n  -u bob:*** x"),
        (
            "Command '['curl', '-u', 'bob:{}', 'https://h']' failed",
            "Command '['curl', '-u', 'bob:***', 'https://h']' failed",
        ),
        ("['mysql', '--password', '{}']", "['mysql', '--password', '***']"),
        ("POST https://hooks.slack.com/services/T0/B0/{} failed", "POST https://hooks.slack.com/services/*** failed"),
        ("https://discord.com/api/webhooks/123/{}?wait=1", "https://discord.com/api/webhooks/123/***?wait=1"),
        ("https://api.telegram.org/bot1:{}/sendMessage", "https://api.telegram.org/bot***"),
    ],
)
def test_logins_of_commands_and_webhooks_are_masked(text: str, expected: str) -> None:
    """Where the command or the place says what the word is."""
    assert masked(text.format(WORD)) == expected


@pytest.mark.parametrize(
    "token",
    [
        "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
        "github_pat_11ABCDEFG0abcdefghijkl_mnop",
        "glpat-abcdefghijklmnop1234",
        "AKIAIOSFODNN7EXAMPLE",
        "ASIAIOSFODNN7EXAMPLE",
        "xoxb-123456789012-abcdef",
        "sk-abcdefghijklmnop12345678",
        "sk-proj-abc_def-ghijklmnop",
        "sk-ant-api03-abc-def_ghijklmnop",
        "sk_live_abcdefghij12",
        "AIzaSyA-abcdefghijklmnopqrstuvwxyz012345",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-def_ghi",
        "npm_abcdefghijklmnopqrstuvwxyz0123456789",
    ],
)
def test_a_token_that_says_what_it_is_is_masked(token: str) -> None:
    """Wherever it stands, and nothing around it."""
    assert masked(f"got ({token}) from 'x={token}'") == "got (***) from 'x=***'"


@pytest.mark.parametrize("before", ["", "u:", "ab", "user:"])
@pytest.mark.parametrize("secret", ["hunter2-Xq7", "p@ss/wörd?9", "a b+c&d=e", "back\\slash'7\""])
def test_a_known_secret_is_found_as_it_is_written(secret: str, before: str) -> None:
    """In base64 at any offset, in URLs by every encoder, in JSON, Python and shells, escaped once and twice."""
    data = f"{before}{secret}:after".encode()
    written = [
        base64.b64encode(data).decode(),
        base64.urlsafe_b64encode(data).decode(),
        quote(secret, safe="/"),
        quote(secret, safe="!'()*"),
        re.sub("%..", lambda found: found[0].lower(), quote(secret, safe="")),
        quote_plus(secret),
        json.dumps(secret),
        json.dumps(json.dumps(secret)),
        json.dumps(secret, ensure_ascii=False),
        repr(secret),
        repr(repr(secret)),
        shlex.quote(secret),
    ]
    for text in written:
        told = without([secret], f"<{text}>")
        assert MASK in told, text
        assert secret not in told
