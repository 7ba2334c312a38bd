"""The pipeline of the page about windows, with four windows in the month that the page fills."""

from batchord import Pipeline, SqlSource, every

daily_sums = Pipeline(
    "daily-sums",
    schedule=every(days=7),
    overlap="queue",
    source=SqlSource(
        """
        SELECT shop_id, day, sum(amount) AS amount
        FROM sales WHERE sold_at >= :window_start AND sold_at < :window_end
        GROUP BY shop_id, day
        """,
        key=["shop_id", "day"],
    ),
    model=lambda frame: frame["amount"],
)
