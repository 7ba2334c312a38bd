"""What is a news story about? Texts from a table, a transformers model from a folder."""

from batchord import Pipeline, SqlSource, TransformersText, every

news = Pipeline(
    "news",
    description="Reuters stories: what about? (transformers)",
    schedule=every(seconds=10),
    source=SqlSource("SELECT id, body, created_at FROM demo_news", key="id", arrival="created_at"),
    model=TransformersText(".batchord/demo/models/topics", text="body", max_tokens=128),
)
