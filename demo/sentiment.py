"""A scikit-learn model that tells fresh reviews from rotten ones, stored with skops."""

from pathlib import Path

from batchord.models.skops_import import import_skops
from demo.texts import reviews

NAME = "sentiment"
DOING = "Training a scikit-learn classifier on film reviews"
REVISION = 1
MEASURE = "held-out reviews, of films that it was not trained on"


def build(folder: Path) -> tuple[str, float, int]:
    """Writes ``model.skops``: a logistic regression over words and pairs of words (TF-IDF). Takes a few seconds.

    skops trusts all of its types, so a pipeline needs no ``trusted=``.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    skops_io, frame = import_skops(), reviews()
    train, test = (frame[frame["split"] == split] for split in ("train", "test"))
    model = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2),
        LogisticRegression(C=4, max_iter=500),
    )
    model.fit(train["body"], train["label"])
    path = folder / "model.skops"
    skops_io.dump(model, path)
    stored = skops_io.load(path)  # measure the model that will be served
    return MEASURE, float((stored.predict(test["body"]) == test["label"]).mean()), len(test)
