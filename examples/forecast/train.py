"""Fits the forecast on the hours in the table, prints how good it is, and writes ``demand.skops``."""

import pandas as pd
import skops.io
import sqlalchemy as sa
from pipelines.demand import FEATURES, HOURS
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.metrics import mean_absolute_error

from batchord.settings import settings

HELD_OUT = pd.Timedelta(days=14)


def hours_with_truth() -> pd.DataFrame:
    """Every hour whose tomorrow is in the table, with the trips of that hour tomorrow (``truth``)."""
    engine = sa.create_engine(sa.make_url(settings().database_roles().source).set(drivername="postgresql+psycopg"))
    query = f"""
        SELECT hours.*, later.trips::float8 AS truth
        FROM ({HOURS}) AS hours
        JOIN station_hours AS later ON later.station_id = hours.station_id AND later.hour = hours.forecast_for
        ORDER BY hours.id
    """
    try:
        return pd.read_sql(query, engine)
    finally:
        engine.dispose()


def fitted(hours: pd.DataFrame) -> HistGradientBoostingRegressor:
    """The model, fitted on ``hours``."""
    model = HistGradientBoostingRegressor(loss="poisson", max_iter=150, learning_rate=0.08, random_state=0)
    return model.fit(hours[FEATURES], hours["truth"])


def main() -> None:
    """Fits without the last two weeks to measure the model, then with them to store it."""
    hours = hours_with_truth()
    border = hours["hour"].max() - HELD_OUT
    # Split by the hour that is forecast: an hour before the border with a tomorrow after it would leak held-out data.
    past, held_out = hours[hours["forecast_for"] < border], hours[hours["hour"] >= border]
    model_error = mean_absolute_error(held_out["truth"], fitted(past).predict(held_out[FEATURES]))
    with_lag = held_out.dropna(subset=["trips_six_days_before"])
    week_error = mean_absolute_error(with_lag["truth"], with_lag["trips_six_days_before"])
    day_error = mean_absolute_error(held_out["truth"], held_out["trips"])
    print(f"mean absolute error over {len(held_out)} hours held out, in trips:")
    print(f"  model               {model_error:.2f}")
    print(f"  same hour last week {week_error:.2f}")
    print(f"  same hour today     {day_error:.2f}")
    skops.io.dump(fitted(hours), "demand.skops")


if __name__ == "__main__":
    main()
