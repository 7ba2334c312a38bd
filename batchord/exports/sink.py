"""The open file as the writers of all formats see it."""

import io
from typing import Any, BinaryIO


class Sink(io.RawIOBase):
    """Passes bytes on to a file and counts them: a pipe cannot be asked how many it got."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self._file: BinaryIO | None = file
        self.bytes = 0

    def writable(self) -> bool:
        """See io."""
        return True

    def tell(self) -> int:
        """See io."""
        return self.bytes

    def write(self, data: Any, /) -> int:
        """See io. It takes all bytes, or raises OSError."""
        size = memoryview(data).nbytes
        if self._file is not None:
            self._file.write(data)
        self.bytes += size
        return size

    def let_go(self) -> None:
        """Drops what comes from now on: after an error, a library may still want to end its file."""
        self._file = None
