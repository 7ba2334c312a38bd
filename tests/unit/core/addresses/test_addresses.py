"""People see an address without its secrets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchord.core.addresses.receivers import address_digest, address_name, address_schema, split_addresses


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        (" , ,\n", ()),
        ("slack://a/b json://h/p", ("slack://a/b", "json://h/p")),
        ("slack://a/b,json://h/p,", ("slack://a/b", "json://h/p")),
        ("slack://a/b,\n\tjson://h/p", ("slack://a/b", "json://h/p")),
        ("json://h/p json://h/p", ("json://h/p",)),
        ("mailto://u:p@h?to=a@x,b@y,slack://a/b", ("mailto://u:p@h?to=a@x,b@y", "slack://a/b")),
        ("no-address,json://h", ("no-address", "json://h")),
    ],
)
def test_addresses_are_separated_by_spaces_or_commas(text: str, expected: tuple[str, ...]) -> None:
    """A comma within an address separates nothing."""
    assert split_addresses(text) == expected


@given(st.lists(st.from_regex(r"[a-z]{2,8}://[a-z:@/?=]{1,20}", fullmatch=True), unique=True), st.sampled_from(" ,\n"))
def test_what_was_joined_is_split_again(addresses: list[str], separator: str) -> None:
    """In the same order."""
    assert split_addresses(separator.join(addresses)) == tuple(addresses)


@pytest.mark.parametrize(
    ("address", "expected"),
    [("slack://A/B", "slack"), (" JSONS://h", "jsons"), ("A/B/C", None), ("", None), ("pass word://h", None)],
)
def test_the_schema_is_what_stands_before_the_slashes(address: str, expected: str | None) -> None:
    """Nothing else of an address is sure to be no secret."""
    assert address_schema(address) == expected


def test_a_digest_tells_addresses_apart() -> None:
    """The same address always has the same one; spaces around it do not count."""
    assert address_digest("slack://A/B") == address_digest(" slack://A/B\n")
    assert address_digest("slack://A/B") != address_digest("slack://A/C")


@given(st.text(st.characters(), min_size=0))
def test_any_text_has_a_name(rest: str) -> None:
    """Eight hexadecimal digits, whatever stands in the environment."""
    assert address_name(f"slack://{rest}") == f"slack receiver {address_digest(f'slack://{rest}')}"
    assert len(address_digest(rest)) == 8
