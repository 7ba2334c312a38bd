"""Pickled models: they run code, so their file is trusted by its digest or not loaded."""

import hashlib
import re

from batchord.core.errors import ConfigurationError

#: Endings of files with a pickled estimator.
PICKLED = frozenset({".joblib", ".pkl", ".pickle"})
#: What `batchord trust` prints, and what ``trust_pickle=`` names.
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def is_digest(text: str) -> bool:
    """Whether ``text`` is ``sha256:`` with 64 hexadecimal digits, in small letters."""
    return _DIGEST.fullmatch(text) is not None


def digest_of_bytes(data: bytes) -> str:
    """The digest as :func:`is_digest` has it."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def check_digest(location: str, actual: str, trusted: str, *, option: str) -> None:
    """Raises ConfigurationError if the file at ``location`` is not the one that ``option`` names."""
    if actual != trusted:
        raise ConfigurationError(
            f"{option} names another file than {location}: it trusts {trusted}, but the file has {actual}. Nothing of "
            f"it was loaded. Restore the file that you trusted; or, if you know who replaced it and trust them, give "
            f"the line that `batchord trust {location}` prints."
        )
