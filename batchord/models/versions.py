"""The names of model versions.

A version is ``name@digest``, such as ``sentiment-7@3fa94c0d12ab``: a name for people, and 12 hexadecimal digits of what
the predictions depend on (the files' contents, a hub's commit, a function's source). If the declaration has options
that change the output, ``+`` and 8 digits of these follow, as in ``sentiment-7@3fa94c0d12ab+1c9e02ab``: the same
weights may read another column, or cut texts elsewhere. So the same version means the same predictions.

Options are left out if their field is marked as one on which no prediction depends (the device, trusted types, the
largest image). A field without a mark is part of the version, and so is the code of an author's own kind of model.
"""

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import fields
from typing import Any, NamedTuple

from batchord.core.declared.models import IN_VERSION, Images, Model

WEIGHT_DIGITS = 12
_OPTION_DIGITS = 8
#: Parts of a path that mean nothing without the part before them: ``7``, ``v2``, ``2026-11-01``, ``model``.
_NO_NAME = re.compile(r"v?\d.*|model|latest|final", re.IGNORECASE)


class Fingerprint(NamedTuple):
    """One file of a model: what the version depends on."""

    #: Path below the model's folder, with ``/``.
    name: str
    #: Digest of the contents, or size and ETag instead.
    contents: str


def version_of(name: str, digest: str, declared: Model) -> str:
    """The full version of ``declared``, whose weights are ``name@digest``."""
    return with_options(f"{name}@{digest}", declared)


def with_options(weights: str, declared: Model) -> str:
    """``weights`` followed by a digest of the options on which predictions depend, if there are any."""
    options = _options(declared)
    if declared.kind_digest is not None:
        options["kind"] = declared.kind_digest
    digits = _hash(json.dumps(options, sort_keys=True, default=repr))[:_OPTION_DIGITS]
    return f"{weights}+{digits}" if options else weights


def weights_of(version: str) -> str:
    """``name@digest``: the part of a version that identifies the weights."""
    return version.partition("+")[0]


def digest_of(files: Iterable[Fingerprint]) -> str:
    """One digest for a set of files, whatever their order."""
    return _hash(json.dumps(sorted(files)))[:WEIGHT_DIGITS]


def readable_name(path: str, *, is_file: bool = False) -> str:
    """A short name from the end of a path: ``models/sentiment/7`` gives ``sentiment-7``.

    ``is_file``: whether the path is that of a file. Then its ending, which tells only the kind, is left out.
    """
    path = re.sub(r"\.[^./\\]*$", "", path) if is_file else path
    parts = [part for part in re.split(r"[/\\]", path) if part not in ("", ".", "..", "~")]
    name_parts = parts[-1:]
    while name_parts and _NO_NAME.fullmatch(name_parts[0]) and len(name_parts) < min(3, len(parts)):
        name_parts = parts[-len(name_parts) - 1 :]
    return re.sub(r"[^A-Za-z0-9._-]+", "-", "-".join(name_parts)).strip("-") or "model"


def _options(declared: Model | Images) -> dict[str, Any]:
    """Every option that differs from its default, except those that are marked as not part of the version."""
    options: dict[str, Any] = {}
    for option in fields(declared):
        name, value = option.metadata.get(IN_VERSION, option.name), getattr(declared, option.name)
        if name is None or not option.compare or value == option.default:
            continue
        if isinstance(value, Images):
            options |= _options(value)
        else:
            options[name] = value
    return options


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
