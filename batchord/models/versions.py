"""What a model version is called.

A version is ``name@digest``, such as ``sentiment-7@3fa94c0d12ab``: a name for people, and 12 hexadecimal
digits of what the predictions come from (the files' contents, a hub's commit, a function's source).
Where the declaration holds options that change the output, ``+`` and 8 digits of these follow, as in
``sentiment-7@3fa94c0d12ab+1c9e02ab``: the same weights read another column, or cut texts elsewhere. So
the same version means the same predictions. Options that say of themselves that no prediction depends on them (the
device, which files are trusted, how large an image may be) are left out; one that is added and says nothing is part,
as is the code of a kind that is an author's own.
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
#: Path parts that say nothing without the one before them: ``7``, ``v2``, ``2026-11-01``, ``model``.
_NO_NAME = re.compile(r"v?\d.*|model|latest|final", re.IGNORECASE)


class Fingerprint(NamedTuple):
    """One file of a model, as far as it decides the version."""

    #: Path below the model's folder, with ``/``.
    name: str
    #: Digest of the contents, or what stands for it (size and ETag).
    contents: str


def version_of(name: str, digest: str, declared: Model) -> str:
    """The full version of ``declared``, whose weights are ``name@digest``."""
    return with_options(f"{name}@{digest}", declared)


def with_options(weights: str, declared: Model) -> str:
    """``weights``, and a digest of the options on which predictions depend."""
    options = _options(declared)
    if declared.kind_digest is not None:
        options["kind"] = declared.kind_digest
    digits = _hash(json.dumps(options, sort_keys=True, default=repr))[:_OPTION_DIGITS]
    return f"{weights}+{digits}" if options else weights


def weights_of(version: str) -> str:
    """``name@digest``, the part of a version that is about the weights alone."""
    return version.partition("+")[0]


def digest_of(files: Iterable[Fingerprint]) -> str:
    """One digest for a set of files, whatever the order in which they are given."""
    return _hash(json.dumps(sorted(files)))[:WEIGHT_DIGITS]


def readable_name(path: str) -> str:
    """A short name from the end of a path: ``models/sentiment/7`` gives ``sentiment-7``."""
    parts = [part for part in re.split(r"[/\\]", path.removesuffix(".skops")) if part not in ("", ".", "..", "~")]
    taken = parts[-1:]
    while taken and _NO_NAME.fullmatch(taken[0]) and len(taken) < min(3, len(parts)):
        taken = parts[-len(taken) - 1 :]
    return re.sub(r"[^A-Za-z0-9._-]+", "-", "-".join(taken)).strip("-") or "model"


def _options(declared: Model | Images) -> dict[str, Any]:
    """Every option that is not at its default, but for those that say that no prediction depends on them."""
    options: dict[str, Any] = {}
    for each in fields(declared):
        name, value = each.metadata.get(IN_VERSION, each.name), getattr(declared, each.name)
        if name is None or not each.compare or value == each.default:
            continue
        if isinstance(value, Images):
            options |= _options(value)
        else:
            options[name] = value
    return options


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
