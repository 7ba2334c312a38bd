"""What a person should know of a pickled file before trusting it. Nothing of the file runs."""

import bz2
import gzip
import io
import lzma
import sys
import zlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from batchord.core.errors import ConfigurationError, ModelNotFound
from batchord.core.text.error_text import clause
from batchord.models.opcodes import Name, Unreadable, names_in
from batchord.models.pickles import digest_of_bytes

if TYPE_CHECKING:
    from batchord.storage.objects import Objects

#: How the files begin that joblib compresses, and what reads them. lz4 is in no library of Python's own.
_COMPRESSED: dict[bytes, tuple[str, Callable[[BinaryIO], Any] | None]] = {
    b"\x1f\x8b": ("gzip", lambda file: gzip.GzipFile(fileobj=file)),
    b"BZ": ("bz2", bz2.BZ2File),
    b"\xfd7zXZ": ("xz", lzma.LZMAFile),
    b"\x5d\x00": ("lzma", lzma.LZMAFile),
    b"\x78": ("zlib", None),
    b"\x04\x22\x4d\x18": ("lz4", None),
}
#: The most bytes that are unpacked to be read: a small file can unpack to more than the memory holds.
_MOST = 1 << 30
#: Modules of Python whose names only stand for data, in pickles of models, and such names of ``builtins``.
_PLAIN = "_codecs array collections copy_reg copyreg datetime decimal enum fractions uuid zoneinfo"
_PLAIN_BUILTINS = "bool bytearray bytes complex dict float frozenset int list object range set slice str tuple type"
#: Libraries whose pickles bring the code of functions with them.
_BRING_CODE = frozenset({"cloudpickle", "dill"})


@dataclass(frozen=True, kw_only=True)
class PickleReport:
    """A pickled file: its digest, and what loading it would import."""

    location: str
    #: ``sha256:`` and 64 hexadecimal digits.
    digest: str
    bytes: int
    #: How joblib has compressed it; None: it is not compressed.
    compression: str | None
    #: The names, by their modules.
    imports: Mapping[str, list[str]]
    #: Those that a model seldom needs, as ``module.name``: they can run a program, or code that the file brings.
    conspicuous: list[str]
    #: Why ``imports`` may lack names, as a part of a sentence; None: the file was read to its end.
    incomplete: str | None

    def as_json(self) -> dict[str, Any]:
        """The contract for programs."""
        return asdict(self)


def read_model(location: str, objects: "Callable[[], Objects]") -> bytes:
    """The bytes of the file at ``location``, a path or ``s3://bucket/key``. Raises BatchordError if it has none."""
    if location.startswith("s3://"):
        from batchord.storage.objects import parse_s3

        try:
            bucket, key = parse_s3(location)
        except ValueError as error:
            raise ConfigurationError(f"The file's location {error}: write s3://bucket/key.") from None
        return objects().get(bucket, key, max_bytes=sys.maxsize)
    path = Path(location).expanduser()
    if path.is_dir():
        raise ModelNotFound(f"{location} is a folder: name the pickled file in it.")
    if path.exists() and not path.is_file():
        raise ModelNotFound(f"{location} is no regular file: copy its bytes into one.")
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelNotFound(f"{location} cannot be read: {clause(error.strerror or error)}.") from None


def report_of(location: str, data: bytes) -> PickleReport:
    """What the opcodes in ``data`` say. Raises ConfigurationError if it is no pickle, or is damaged."""
    if not data:
        raise ConfigurationError(f"{location} is empty.")
    if data.startswith(b"PK"):
        raise ConfigurationError(f"{location} is a zip file, as .skops files are, and no pickle: it needs no trust.")
    compression, unpacked, incomplete = _unpacked(location, data)
    found: dict[Name, None] = {}
    try:
        for name in () if unpacked is None else names_in(io.BytesIO(unpacked)):
            found[name] = None
    except Unreadable as error:
        if unpacked is not None and not unpacked.startswith(b"\x80"):
            raise ConfigurationError(f"{location} is no pickle: {clause(error)}.") from None
        if incomplete is None:
            raise ConfigurationError(f"{location} is damaged or cut off: {clause(error)}. Write it again.") from None
    imports: dict[str, list[str]] = {}
    for name in sorted(found, key=lambda each: (each.module, each.name)):
        imports.setdefault(name.module, []).append(name.name)
    return PickleReport(
        location=location,
        digest=digest_of_bytes(data),
        bytes=len(data),
        compression=compression,
        imports=imports,
        conspicuous=[f"{name.module}.{name.name}" for name in found if _is_conspicuous(name)],
        incomplete=incomplete,
    )


def _unpacked(location: str, data: bytes) -> tuple[str | None, bytes | None, str | None]:
    """How it is compressed, its pickle as far as that can be unpacked here, and why that is not all."""
    start = next((start for start in _COMPRESSED if data.startswith(start)), None)
    if start is None:
        return None, data, None
    name, opened = _COMPRESSED[start]
    if name == "lz4":
        return name, None, "Python unpacks no lz4 by itself, so nothing of it was read"
    try:
        if opened is None:
            unpacked = _from_zlib(data)
        else:
            with opened(io.BytesIO(data)) as file:
                unpacked = file.read(_MOST + 1)
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise ConfigurationError(f"{location} is damaged or cut off: {clause(error)}. Write it again.") from None
    cut = f"only its first {_MOST >> 30} GiB were unpacked" if len(unpacked) > _MOST else None
    return name, unpacked, cut


def _from_zlib(data: bytes) -> bytes:
    unpacking = zlib.decompressobj()
    unpacked = unpacking.decompress(data, _MOST + 1)
    if not unpacking.eof and len(unpacked) <= _MOST:
        raise EOFError("it ends within its compressed bytes")
    return unpacked


def _is_conspicuous(name: Name) -> bool:
    top = name.module.partition(".")[0]
    if top in ("builtins", "__builtin__"):
        return name.name not in _PLAIN_BUILTINS.split()
    if top in sys.stdlib_module_names:
        return top not in _PLAIN.split()
    return "?" in name.module + name.name or top in _BRING_CODE
