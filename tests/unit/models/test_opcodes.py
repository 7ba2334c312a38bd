"""What a pickle would import is read from its opcodes: all of it, and without importing it."""

import io
import pickle
import sys
from collections.abc import Iterator
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from joblib.numpy_pickle import NumpyUnpickler

from batchord.models.opcodes import Name, Unreadable, names_in


def models() -> dict[str, Any]:
    """Objects with arrays of every kind: none, empty, structured, of objects, of texts, in both orders."""
    from sklearn.compose import make_column_transformer
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    frame = pd.DataFrame({"a": [1.0, 2, 3, 4] * 5, "b": list("xyzx") * 5})
    columns = make_column_transformer((OneHotEncoder(), ["b"]), remainder="passthrough")
    texts = make_pipeline(TfidfVectorizer(), LogisticRegression())
    return {
        "boosting": make_pipeline(columns, HistGradientBoostingClassifier(max_iter=2)).fit(frame, [0, 1] * 10),
        "forest": RandomForestClassifier(2).fit(frame[["a"]], list("xy") * 10),
        "texts": texts.fit(["a bb cc", "dd ee"] * 3, [0, 1] * 3),
        "frame": frame,
        "arrays": [
            np.array([("x", 1)], dtype=object),
            np.zeros(3, dtype=[("a", "f8"), ("b", "O")]),
            np.zeros(3, dtype=[("a", "f8"), ("b", "U3")]),
            np.zeros((3, 2), order="F"),
            np.array("abc"),
            np.array([], dtype="U5"),
            np.ones(3, dtype="M8[ns]"),
            np.zeros(2, dtype=">f8"),
            np.zeros(5, dtype="?"),
        ],
    }


def imported(data: bytes) -> set[tuple[str, str]]:
    """What loading really imports."""
    seen = set()

    class Watched(NumpyUnpickler):  # type: ignore[misc] # joblib has no types
        def find_class(self, module: str, name: str) -> Any:
            seen.add((module, name))
            return super().find_class(module, name)

    Watched("", io.BytesIO(data), ensure_native_byte_order=True).load()
    return seen


@pytest.mark.parametrize("name", ["boosting", "forest", "texts", "frame", "arrays"])
def test_the_names_are_those_that_loading_imports(name: str) -> None:
    """By every protocol, also between and within the arrays of joblib."""
    model = models()[name]
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        stored = io.BytesIO()
        joblib.dump(model, stored, protocol=protocol)
        for data in (stored.getvalue(), pickle.dumps(model, protocol=protocol)):
            assert {(each.module, each.name) for each in names_in(io.BytesIO(data))} == imported(data)


@pytest.fixture
def absent() -> Iterator[str]:
    """A module that no test has imported."""
    name = "this"
    sys.modules.pop(name, None)
    yield name
    assert name not in sys.modules


@pytest.mark.parametrize(
    "data",
    [
        b"cthis\nd\n.",
        b"\x80\x04\x8c\x04this\x94\x8c\x01d\x94\x93.",
        b"\x80\x04\x8c\x04thisq\x00\x8c\x01dq\x01h\x00h\x01\x93.",
        b"(ithis\nd\n.",
        b"(cthis\nd\no.",
        b"\x80\x02cthis\nd\n)\x81.",
    ],
    ids=["global", "stack", "memo", "inst", "obj", "newobj"],
)
def test_each_way_to_import_is_seen(absent: str, data: bytes) -> None:
    """And nothing is imported meanwhile."""
    assert Name(absent, "d") in list(names_in(io.BytesIO(data)))


def test_a_computed_name_is_a_question_mark() -> None:
    """Nobody can say what it will be."""
    computed = b"\x80\x04cos\ngetcwd\n)R\x8c\x06system\x93."

    assert list(names_in(io.BytesIO(computed))) == [Name("os", "getcwd"), Name("?", "system")]


@pytest.mark.parametrize(
    "data",
    [b"", b"a text", b"\x80\x04", b"\x80\x04\x93.", b"h\x05.", b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f", b"t."],
)
def test_what_is_no_pickle_is_unreadable(data: bytes) -> None:
    """Neither an endless loop nor a memory of its size."""
    with pytest.raises(Unreadable):
        list(names_in(io.BytesIO(data)))


def test_a_pickle_cut_off_is_unreadable() -> None:
    """At each of its bytes."""
    stored = io.BytesIO()
    joblib.dump(np.arange(9.0), stored)
    for length in range(len(stored.getvalue())):
        with pytest.raises(Unreadable):
            list(names_in(io.BytesIO(stored.getvalue()[:length])))
