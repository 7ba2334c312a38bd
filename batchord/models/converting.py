"""Loads a pickle and writes it with skops, in a process of its own: see :mod:`batchord.models.conversion`."""

import json
import re
from pathlib import Path
from typing import Any

from batchord.core.errors import BatchordError, ConfigurationError
from batchord.core.text.error_text import clause, error_text
from batchord.models.estimators import check_estimator, refuse_notebook
from batchord.models.made_up import made_up_records
from batchord.models.pickles import check_digest, digest_of_bytes
from batchord.models.skops_import import import_skops
from batchord.models.unpickling import unpickled

#: Made-up records with which the two copies are compared.
ROWS = 64
_COMPARED = ("predict", "predict_proba", "decision_function")
#: The place of an object in memory, which differs between equal objects.
_PLACE = re.compile(r" at 0x[0-9a-fA-F]+")


def convert(job: dict[str, Any]) -> None:
    """Does the job and writes its outcome, or the message of its error, to ``job["outcome"]``."""
    try:
        outcome = _convert(Path(job["file"]), Path(job["target"]), location=job["location"], digest=job["digest"])
    except BatchordError as error:
        outcome = {"error": str(error)}
    Path(job["outcome"]).write_text(json.dumps(outcome), encoding="utf-8")


def _convert(file: Path, target: Path, *, location: str, digest: str) -> dict[str, Any]:
    skops_io = import_skops()
    data = file.read_bytes()
    check_digest(location, digest_of_bytes(data), digest, option="--trust")
    estimator, remarks = unpickled(data, location)
    check_estimator(estimator, location)
    kind = type(estimator).__name__
    try:
        skops_io.dump(estimator, target)
        types = sorted(skops_io.get_untrusted_types(file=target))
        refuse_notebook(types, location)
        read = skops_io.load(target, trusted=types)
    except BatchordError:
        raise
    except Exception as error:
        raise ConfigurationError(
            f"skops cannot store the {kind} of {location} so that it can be read back ({clause(error_text(error))}). "
            "Trust the pickle instead: see `batchord trust`."
        ) from error
    if type(read) is not type(estimator) or _parameters(read) != _parameters(estimator):
        raise ConfigurationError(
            f"skops gives back another {kind} than the one of {location}: {_difference(estimator, read)}. Nothing was "
            "written. Trust the pickle instead: see `batchord trust`."
        )
    compared, why_not = _compared(estimator, read, location)
    return {"kind": kind, "trusted": types, "compared": compared, "not_compared": why_not, "remarks": remarks}


def _parameters(estimator: Any) -> dict[str, str]:
    return {name: _PLACE.sub("", repr(value)) for name, value in estimator.get_params().items()}


def _difference(estimator: Any, read: Any) -> str:
    if type(read) is not type(estimator):
        return f"a {type(read).__name__}"
    before, after = _parameters(estimator), _parameters(read)
    name = next(name for name in sorted({*before, *after}) if before.get(name) != after.get(name))
    return f"its {name} is {after.get(name)} instead of {before.get(name)}"


def _compared(estimator: Any, read: Any, location: str) -> tuple[list[str], str | None]:
    """The methods by which both predict the same for made-up records, and why nothing was compared."""
    try:
        records = made_up_records(estimator, ROWS)
        before = {name: _call(estimator, name, records) for name in _COMPARED if hasattr(estimator, name)}
    except Exception as error:  # noqa: BLE001 -- made-up records may suit no estimator
        return [], f"no records could be made up that it predicts ({clause(error_text(error))})"
    if records is None:
        return [], "it does not say what it was fitted on"
    for name, values in before.items():
        if not _same(values, _call(read, name, records)):
            raise ConfigurationError(
                f"What skops wrote of {location} gives other results of {name}() for made-up records than the pickle. "
                "Nothing was written. Trust the pickle instead: see `batchord trust`."
            )
    return list(before), None


def _call(estimator: Any, name: str, records: Any) -> Any:
    return None if records is None else getattr(estimator, name)(records)


def _same(before: Any, after: Any) -> bool:
    import numpy as np

    one, other = np.asarray(before), np.asarray(after)
    is_number = one.dtype.kind in "fc" and other.dtype.kind in "fc"
    return bool(np.array_equal(one, other, equal_nan=is_number))
