"""Private keys are masked, whole or line by line, and what stands around them is not."""

import pytest

from batchord.core.secrets.key_blocks import KeyBlocks, without_key_blocks

BEGIN, END = "-----BEGIN RSA PRIVATE KEY-----", "-----END RSA PRIVATE KEY-----"
BODY = ["MIIEpAIBAAKCAQEA7bqx8Qx", "Zm9vYmFyYmF6cXV4Zm9v/+", "QIDAQAB=="]
KEY = "\n".join([BEGIN, *BODY, END])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"a\n{KEY}\nb", "a\n***\nb"),
        (f"two: {KEY} and {KEY}.", "two: *** and ***."),
        (KEY.replace("RSA ", "OPENSSH "), "***"),
        (KEY.replace("RSA PRIVATE KEY", "PGP PRIVATE KEY BLOCK"), "***"),
        (KEY.replace("\n", "\r\n"), "***"),
        (f'{{"private_key": "{KEY}", "n": 1}}'.replace("\n", "\\n"), '{"private_key": "***", "n": 1}'),
        (f"{BEGIN}\nProc-Type: 4,ENCRYPTED\n\n{BODY[0]}\n{END}", "***"),
        ("\n".join([BEGIN, *BODY, "and what follows stays"]), "***\nand what follows stays"),
        ("\n".join(["what came before:", *BODY, END, "x"]), "what came before:\n***\nx"),
        (KEY.replace("RSA PRIVATE", "PUBLIC"), KEY.replace("RSA PRIVATE", "PUBLIC")),
        ("a PRIVATE KEY is a secret", "a PRIVATE KEY is a secret"),
    ],
)
def test_keys_in_a_text(text: str, expected: str) -> None:
    """Also without their beginning or their end, where a text was cut."""
    assert without_key_blocks(text) == expected


def test_a_key_that_comes_line_by_line() -> None:
    """Nothing of it is left, and the lines before, between and after it are."""
    blocks = KeyBlocks()

    told = [
        blocks.masked("stdout", line)
        for line in ["before", BEGIN, BODY[0], "a word in between", *BODY[1:], END, "after"]
    ]

    assert told == ["before", BEGIN, "***", "a word in between", "***", "***", "***", "after"]


def test_a_key_without_an_end_hides_no_more_than_itself() -> None:
    """Its command was killed, say."""
    blocks = KeyBlocks()
    for line in (BEGIN, *BODY, "one more", "and more", "and more", "and more"):
        blocks.masked("stdout", line)

    assert blocks.masked("stdout", "done") == "done"


def test_streams_are_distinguished() -> None:
    """A word on the other stream is not a line of the key."""
    blocks = KeyBlocks()
    blocks.masked("stdout", f"x {BEGIN}\n{BODY[0]}")

    assert blocks.masked("stderr", "word") == "word"
    assert blocks.masked("stdout", f"{BODY[1]}\n{END}\nrest") == "***\n***\nrest"
