"""Drills of models that return odd things: a broken contract loses nothing, an odd value costs its record at most."""

from typing import Any

from tests.drills.drill import Drill

#: What breaks the contract, and what is said of it. ``lengths`` is a Series over the frame's index.
_VIOLATIONS = {
    "lengths.iloc[:-1]": "returned 19 rows for 20 records: return one row for each record",
    "lengths.iloc[::-1]": "an index that differs from its input: keep the frame's index and its order",
    "lengths.reset_index(drop=True)": "an index that differs from its input: keep the frame's index and its order",
    "lengths.tolist()": "returned a list instead of a Series or DataFrame",
    "None": "returned a NoneType instead of a Series or DataFrame",
    "lengths.map(str).to_frame('score') + ' letters'": "returned a column 'score' that is not numeric",
}
#: Returns what stands in a file, as if the author had changed the function between the runs.
_BROKEN = """
        lengths = frame["body"].str.len()
        return eval((FOLDER / "returned").read_text())
"""
#: What the model returns in three columns for the record of a key, and what is stored: label, score, output.
_STORED: dict[int, tuple[tuple[str, str, str], tuple[str | None, float | None, Any]]] = {
    1: (("'numpy'", "numpy.float32(0.5)", "numpy.int64(2**53 + 1)"), ("numpy", 0.5, 2**53 + 1)),
    2: (("numpy.str_('text')", "numpy.float16(0.25)", "numpy.bool_(True)"), ("text", 0.25, True)),
    3: (("7", "decimal.Decimal('0.5')", "decimal.Decimal('1.10')"), ("7", 0.5, "1.10")),
    4: (("True", "True", "numpy.array([1.5, float('nan')], dtype='float32')"), ("True", 1.0, [1.5, None])),
    5: (("'no score'", "float('nan')", "float('inf')"), ("no score", None, None)),
    6: (("None", "0.5", "pandas.NA"), (None, 0.5, None)),
    7: (("float('nan')", "0.5", "pandas.NaT"), (None, 0.5, None)),
    8: (("'times'", "1", "pandas.Timestamp('2026-03-01T12:00Z')"), ("times", 1.0, "2026-03-01T12:00:00+00:00")),
    9: (
        ("'nested'", "1", "{'a': [{'b': (1, None, numpy.str_('x'))}], 3: pandas.NaT}"),
        ("nested", 1.0, {"a": [{"b": [1, None, "x"]}], "3": None}),
    ),
    10: (("'\\0\\ud800'", "1", "['NUL \\0', '\\udfff']"), ("\\u0000\\ud800", 1.0, ["NUL \\u0000", "\\udfff"])),
    11: (("'x' * 1_000_000", "1", "'y' * 1_000_000"), ("x" * 1_000_000, 1.0, "y" * 1_000_000)),
    12: (("'large'", "1e308", "10**400"), ("large", 1e308, 10**400)),
}
#: The same for what cannot be stored, and the reason.
_REJECTED: dict[int, tuple[tuple[str, str, str], str]] = {
    21: (("'bytes'", "1", "b'bytes'"), "bytes-output"),
    22: (("'bytes'", "1", "[bytearray(b'bytes')]"), "bytes-output"),
    23: (("b'bytes'", "1", "1"), "bytes-output"),
    24: (("'set'", "1", "{1, 2}"), "not-json"),
    25: (("'object'", "1", "object()"), "not-json"),
    41: (("'complex'", "1", "1 + 2j"), "not-json"),
    42: (("'digits'", "1", "10**5000"), "not-json"),
    43: (("'depth'", "1", "functools.reduce(lambda inner, _: [inner], range(5_000), [])"), "not-json"),
    44: (("'itself'", "1", "(lambda found: found.append(found) or found)([])"), "not-json"),
    61: (("'infinite'", "float('inf')", "1"), "not-finite"),
    62: (("None", "float('nan')", "None"), "not-finite"),
    63: (("'large'", "10**400", "1"), "model-error"),
    64: (("type('Silent', (), {'__str__': lambda _: 1 / 0})()", "1", "1"), "model-error"),
}
_ODD = """
        import decimal, functools, numpy, pandas
        known = {{"decimal": decimal, "functools": functools, "numpy": numpy, "pandas": pandas}}
        returned = {returned!r}
        rows = [[eval(text, known) for text in returned.get(key, ("'usual'", "1", "1"))] for key in frame.index]
        values = {{
            column: pandas.Series([row[place] for row in rows], index=frame.index, dtype=object)
            for place, column in enumerate(("label", "score", "value"))
        }}
        return pandas.DataFrame(values)
"""


def test_a_broken_contract_fails_its_run_and_loses_nothing(drill: Drill) -> None:
    """Each kind is told, and nothing is predicted or rejected; once the file is mended, all is predicted."""
    cluster = drill.cluster
    drill.declare(_BROKEN.strip())
    cluster.start("control", "worker", "beat")
    for count, (returned, said) in enumerate(_VIOLATIONS.items(), start=1):
        (drill.folder / "returned").write_text(returned)
        drill.run()
        drill.wait_until_runs(count)
        errors = cluster.sql("SELECT error FROM batchord.runs ORDER BY created_at DESC LIMIT 1")
        assert said in errors[0][0]
    drill.injected()
    assert cluster.sql("SELECT count(*) FROM batchord.rejections") == [(0,)]
    assert cluster.sql("SELECT count(*) FROM batchord.predictions") == [(0,)]
    assert cluster.sql("SELECT count(*) FROM batchord.alerts") == [(len(_VIOLATIONS),)]
    drill.declare()
    for name in ("control", "worker"):
        cluster.stop(name)
    cluster.start("control2", "worker2")
    drill.run()
    drill.settle()
    drill.check(runs=(*["failed"] * len(_VIOLATIONS), "succeeded"))


def test_an_odd_value_costs_its_record_at_most(drill: Drill) -> None:
    """A value that can be stored is stored, another is rejected with its reason, and all others are predicted."""
    cluster = drill.cluster
    returned = {key: row for table in (_STORED, _REJECTED) for key, (row, _) in table.items()}
    drill.declare(_ODD.format(returned=returned).strip())
    cluster.start("control", "worker", "beat")
    drill.run()
    drill.injected()
    drill.settle()
    assert _reasons(drill) == {str(key): reason for key, (_, reason) in _REJECTED.items()}
    written = {
        int(key): (label, score, output and output.get("value"))
        for key, label, score, output in cluster.sql(
            "SELECT record_key, label, score, output FROM batchord.predictions"
        )
    }
    assert len(written) == 400 - len(_REJECTED)
    for key, (_, stored) in _STORED.items():
        assert written[key] == stored
    assert all(written[key] == ("usual", 1.0, 1) for key in written.keys() - _STORED.keys())
    drill.check()


def _reasons(drill: Drill) -> dict[str, str]:
    return dict(drill.cluster.sql("SELECT record_key, reason FROM batchord.rejections"))
