"""Where messages to people go: addresses hold secrets anywhere in them, so people see only what stands here."""

import hashlib
import re

#: As apprise has it: letters and digits.
_SCHEMA = re.compile(r"\s*([a-z0-9]{1,32})://", re.IGNORECASE)
#: A comma may stand inside an address, as between two mail addresses; before a schema it ends one.
_COMMA = re.compile(r",(?=[a-z0-9]{1,32}://)", re.IGNORECASE)
_DIGITS = 8


def split_addresses(text: str) -> tuple[str, ...]:
    """The addresses in ``text``, separated by spaces, line ends or commas; each once, in their order."""
    found = (part.strip(",") for word in text.split() for part in _COMMA.split(word))
    return tuple(dict.fromkeys(part for part in found if part))


def address_schema(address: str) -> str | None:
    """What stands before ``://``, in lower case; None for an address without it."""
    found = _SCHEMA.match(address)
    return found[1].lower() if found else None


def address_digest(address: str) -> str:
    """Eight hexadecimal digits (of SHA-256) that tell one address from another and give nothing away."""
    return hashlib.sha256(address.strip().encode(errors="surrogatepass")).hexdigest()[:_DIGITS]


def address_name(address: str) -> str:
    """What people may see of an address: ``slack receiver 3f2a9c1d``.

    Not the host: in ``slack://TokenA/TokenB`` and many others the first secret stands in its place.
    """
    schema = address_schema(address)
    return f"{schema} receiver {address_digest(address)}" if schema else f"receiver {address_digest(address)}"
