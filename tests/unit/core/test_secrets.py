"""Texts without their passwords."""

import time

import pytest

from app.core.secrets import masked


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("nothing to hide here", "nothing to hide here"),
        ("postgresql://bob:pw@host/db", "postgresql://bob:***@host/db"),
        ("https://token123@hooks.example", "https://***:***@hooks.example"),
        ("see https://example.org/a@b", "see https://example.org/a@b"),
        ("my_password=abc, next", "my_password=***, next"),
        ("{'api-key': 'abc'}", "{'api-key': '***'}"),
        ("TOKEN : abc", "TOKEN : ***"),
        ("AWS_SECRET_ACCESS_KEY=abc", "AWS_SECRET_ACCESS_KEY=***"),
        ("the token of a word", "the token of a word"),
    ],
)
def test_passwords_are_masked(text: str, shown: str) -> None:
    """In addresses, and where something is called a secret."""
    assert masked(text) == shown


def test_known_secrets_are_masked_anywhere() -> None:
    """Short ones are not: they stand in ordinary words."""
    assert masked("aXhunter2X and abc", known=["hunter2", "abc"]) == "aX***X and abc"


@pytest.mark.parametrize("piece", ["a-", "a.", "x", "token-", "a://", "token ", "key= ", "@a:"])
def test_a_long_line_is_masked_in_no_time(piece: str) -> None:
    """Every line of a log goes through it: no text may take time that grows with the square of its length."""
    text = (piece * 8192)[:8192] + " key token ://@"

    started = time.perf_counter()
    masked(text)

    assert time.perf_counter() - started < 0.1
