"""Secrets that stand in a file of their own, as Docker, Kubernetes and systemd hand them out."""

from pathlib import Path

#: The end of the name of a setting, or of its variable, that names such a file.
SUFFIX = "_file"
#: More than any address or key has. A longer file is not a secret: somebody has named the wrong file.
_MOST_BYTES = 65_536


def read_secret(path: Path) -> str:
    """The text of the file, without line ends at its end. Raises ValueError with the reason, but no part of the text.

    Its permissions are not looked at: Docker and Kubernetes hand out secrets that everybody in the container may read,
    and a warning at each start of each process would teach people to ignore warnings.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    if len(content) > _MOST_BYTES:
        raise ValueError(f"{path} has more than {_MOST_BYTES:,} bytes, so it is not a secret")
    try:
        secret = content.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not a UTF-8 text") from None
    if not secret.strip():
        raise ValueError(f"{path} is empty")
    return secret
