"""Drafts whose model is a scikit-learn estimator."""

from batchord.drafts.pipeline_file import Argument
from batchord.drafts.python_text import called, listed, literal
from batchord.sources.sql.tables import Column

FEATURES = ("visits", "days_since_visit")
SAMPLES = [
    "(1, 24, 3, timestamptz '2026-01-05 09:00+00')",
    "(2, 2, 75, timestamptz '2026-01-05 09:10+00')",
    "(3, 11, 12, timestamptz '2026-01-05 09:20+00')",
]
_TRAINING = '''"""Fits the model of NAME.py and stores it. Change it, and run it again:

python -P SCRIPT
"""

from pathlib import Path

import pandas as pd
import skops.io
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

PLACE
FEATURES = ["visits", "days_since_visit"]

# Put your own past here, such as pd.read_csv("past.csv").
past = pd.DataFrame(
    {
        "visits": [30, 22, 18, 25, 2, 1, 4, 3],
        "days_since_visit": [1, 3, 5, 2, 60, 90, 45, 80],
        "outcome": ["stays"] * 4 + ["leaves"] * 4,
    }
)

estimator = make_pipeline(StandardScaler(), LogisticRegression())
estimator.fit(past[FEATURES], past["outcome"])
# skops, not pickle: reading a pickle runs any code in it.
skops.io.dump(estimator, MODEL)
'''


def training_script(name: str, script: str, file: str) -> str:
    """The script that fits and stores the sample's model."""
    text = _TRAINING.replace("NAME", name).replace("SCRIPT", script)
    return text.replace("PLACE", called("MODEL = Path(__file__).with_name", literal(file)))


def sklearn_model(location: str, *, features: list[str], text: Column | None, written_by: str | None) -> Argument:
    """An estimator over the numbers of the records, or else over their text."""
    where = f"written by {written_by}" if written_by else "written by skops.io.dump; or s3://bucket/key.skops"
    reads = (
        listed("features=", map(literal, features), indent=2, end=",")
        if text is None
        else f"        text={literal(text.name)},"
    )
    return Argument(
        lines="\n".join(
            [
                "    # A classifier gives a label and its probability, a regressor a score.",
                "    model=SklearnModel(",
                f"        # {where}",
                f"        {literal(location)},",
                reads,
                "    ),",
            ]
        ),
        names=frozenset({"SklearnModel"}),
    )
