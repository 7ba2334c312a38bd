"""Bike trips a day ahead: each hour that arrives gives its station's forecast for the same hour tomorrow."""

from batchord import Pipeline, SklearnModel, SqlSource, every

#: The columns that the model is fitted on and predicts from, in this order.
FEATURES = [
    "station_id",
    "hour_of_day",
    "weekday",
    "temperature_tomorrow",
    "rain_tomorrow",
    "trips",
    "trips_hour_before",
    "trips_six_days_before",
    "trips_mean_day",
    "trips_mean_week",
]

#: One row per hour of a station. train.py reads it, too, so that each feature is written only once. Lags are joined by
#: their time. lag() OVER (...) would count rows, which is wrong if an hour is missing. And with a window function,
#: PostgreSQL could not look up only the few hours that a shard asks for.
HOURS = """
SELECT latest.id,
       latest.station_id,
       latest.hour,
       latest.hour + interval '24 hours' AS forecast_for,
       extract(hour FROM latest.hour AT TIME ZONE 'Europe/Berlin')::float8 AS hour_of_day,
       extract(isodow FROM (latest.hour + interval '24 hours') AT TIME ZONE 'Europe/Berlin')::float8 AS weekday,
       latest.temperature_tomorrow,
       latest.rain_tomorrow,
       latest.trips::float8 AS trips,
       hour_before.trips::float8 AS trips_hour_before,
       six_days_before.trips::float8 AS trips_six_days_before,  -- a week before the hour that is forecast
       means.day AS trips_mean_day,
       means.week AS trips_mean_week
FROM station_hours AS latest
LEFT JOIN station_hours AS hour_before
    ON hour_before.station_id = latest.station_id AND hour_before.hour = latest.hour - interval '1 hour'
LEFT JOIN station_hours AS six_days_before
    ON six_days_before.station_id = latest.station_id AND six_days_before.hour = latest.hour - interval '144 hours'
CROSS JOIN LATERAL (
    SELECT avg(past.trips) FILTER (WHERE past.hour > latest.hour - interval '24 hours')::float8 AS day,
           avg(past.trips)::float8 AS week
    FROM station_hours AS past
    WHERE past.station_id = latest.station_id
      AND past.hour > latest.hour - interval '168 hours' AND past.hour <= latest.hour
) AS means
"""

demand = Pipeline(
    "demand",
    description="Bike trips a day ahead (scikit-learn)",
    schedule=every(minutes=15),
    # Hours before the service began are history: the model was fitted on them, and nobody needs their forecasts.
    source=SqlSource(HOURS + "WHERE latest.hour >= timestamptz '2026-05-01 00:00+00'", key="id"),
    model=SklearnModel(
        "demand.skops",
        features=FEATURES,
        trusted=["sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"],
    ),
)
