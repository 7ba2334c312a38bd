"""Are film reviews fresh or rotten? Texts from a table, a scikit-learn model from a file."""

from app import Pipeline, SklearnModel, SqlSource, every

reviews = Pipeline(
    "reviews",
    description="Film reviews: fresh or rotten? (scikit-learn)",
    schedule=every(seconds=10),
    source=SqlSource("SELECT id, body, created_at FROM demo_reviews", key="id", arrival="created_at"),
    model=SklearnModel(".batchord/demo/models/sentiment", text="body"),
)
