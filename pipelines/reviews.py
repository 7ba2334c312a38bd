"""Are film reviews fresh or rotten? Texts from a table, a scikit-learn model from a file, and a table of the moods."""

from batchord import Branch, Pipeline, Predict, RunContext, SklearnModel, Sql, SqlSource, every


def anything_new(run: RunContext) -> list[str]:
    """The step that writes the mood, if this run has predicted anything."""
    return ["mood"] if run["predict"].predicted else []


reviews = Pipeline(
    "reviews",
    description="Film reviews: fresh or rotten? (scikit-learn), and the mood of each run (a graph)",
    schedule=every(seconds=10),
    steps=[
        Predict(
            "predict",
            source=SqlSource("SELECT id, body, created_at FROM demo_reviews", key="id", arrival="created_at"),
            model=SklearnModel(".batchord/demo/models/sentiment", text="body"),
        ),
        Branch("anything_new", anything_new, after=["predict"]),
        Sql(
            "mood",
            [
                "CREATE TABLE IF NOT EXISTS demo_mood (run_id uuid, label text, reviews bigint, mean_score float8)",
                """
                INSERT INTO demo_mood
                SELECT run_id, label, count(*), avg(score) FROM batchord.predictions
                WHERE run_id = CAST(:run_id AS uuid) GROUP BY run_id, label
                """,
            ],
            after=["anything_new"],
        ),
    ],
)
