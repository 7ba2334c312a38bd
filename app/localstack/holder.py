"""Holds the home's PostgreSQL for another program: ``python -m batchord.app.localstack.holder HOME``.

For a program that must not import the local stack, such as a notebook. It prints one line of JSON when the database can
be used, or why it cannot. It ends with its standard input, a pipe that closes when the other program ends, however it
ends.
"""

import json
import sys
from pathlib import Path

from batchord.core.errors import BatchordError
from batchord.output.last_words import mask_last_words
from batchord.output.masking import mask

from .own_postgres import own_postgres


def main(home: Path) -> int:
    """Returns 0 at the end of standard input, 1 if the database cannot be used."""
    mask_last_words()
    try:
        with own_postgres(home) as seconds:
            _tell(seconds=seconds)
            sys.stdin.read()
    except BatchordError as error:
        _tell(error=mask(str(error)), kind=type(error).__name__)
        return 1
    return 0


def _tell(**message: object) -> None:
    print(json.dumps(message), flush=True)  # noqa: T201 -- this is the program's output


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
