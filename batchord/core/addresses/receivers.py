"""Addresses of the receivers of alerts. Any part of such an address may be a secret, so people see only its name."""

import hashlib
import re

#: As in apprise: letters and digits.
_SCHEMA = re.compile(r"\s*([a-z0-9]{1,32})://", re.IGNORECASE)
#: A comma before a schema ends an address. Any other comma belongs to it, such as one between two mail addresses.
_COMMA = re.compile(r",(?=[a-z0-9]{1,32}://)", re.IGNORECASE)
_DIGITS = 8


def split_addresses(text: str) -> tuple[str, ...]:
    """The addresses in ``text``, separated by spaces, line ends or commas; each once, in the order of the text."""
    addresses = (part.strip(",") for word in text.split() for part in _COMMA.split(word))
    return tuple(dict.fromkeys(address for address in addresses if address))


def address_schema(address: str) -> str | None:
    """The text before ``://``, in lower case; None for an address without it."""
    schema = _SCHEMA.match(address)
    return schema[1].lower() if schema else None


def address_digest(address: str) -> str:
    """Eight hexadecimal digits of the address's SHA-256. They tell addresses apart and reveal nothing."""
    return hashlib.sha256(address.strip().encode(errors="surrogatepass")).hexdigest()[:_DIGITS]


def address_name(address: str) -> str:
    """The name that people may see instead of the address: ``slack receiver 3f2a9c1d``.

    It leaves out the host too: in ``slack://TokenA/TokenB`` and many others, a secret stands in the host's place.
    """
    schema = address_schema(address)
    return f"{schema} receiver {address_digest(address)}" if schema else f"receiver {address_digest(address)}"
