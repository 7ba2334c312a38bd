"""Made-up bike stations: ``python data.py history`` makes the table, ``python data.py hours 24`` adds the next hours.

Demand follows the hour, the weekday, the weather, and a level that drifts from week to week. Counts are Poisson.
Everything follows from one seed, so that all calls give the same data.
"""

import argparse

import numpy as np
import pandas as pd
import psycopg

from batchord.settings import settings

STATIONS = 8
FIRST_HOUR = pd.Timestamp("2026-01-05", tz="UTC")
SERVICE_BEGINS = pd.Timestamp("2026-05-01", tz="UTC")
DAYS = 180
RAINY = 0.6

TABLE = """
DROP TABLE IF EXISTS station_hours;
CREATE TABLE station_hours (
    id                   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    station_id           integer NOT NULL,
    hour                 timestamptz NOT NULL,
    trips                integer NOT NULL,
    temperature_tomorrow float8,  -- the weather service's forecast for 24 hours later
    rain_tomorrow        float8,
    UNIQUE (station_id, hour)
);
"""


def simulated() -> pd.DataFrame:
    """All hours of all stations, ordered by time."""
    random = np.random.default_rng(2026)
    hours = pd.date_range(FIRST_HOUR, periods=DAYS * 24, freq="h")
    days = np.arange(DAYS)
    warmth = 4 + 16 * np.sin(np.pi * days / 330) + _wandering(random, DAYS, keeps=0.8, step=2.5)
    rainy = _wandering(random, DAYS, keeps=0.5, step=1.0) > RAINY
    time_of_day = hours.hour.to_numpy()
    temperature = np.repeat(warmth, 24) + 4 * np.sin((time_of_day - 9) / 24 * 2 * np.pi)
    rain = np.repeat(np.where(rainy, random.gamma(2.0, 1.5, DAYS), 0.0), 24)
    commuting = np.exp(-((time_of_day - 8) ** 2) / 4) + np.exp(-((time_of_day - 17) ** 2) / 6)
    leisure = np.exp(-((time_of_day - 14) ** 2) / 20)
    weekend = hours.day_of_week.to_numpy() >= 5  # noqa: PLR2004 -- Saturday
    weather = np.exp(0.035 * (temperature - 10) - 0.25 * rain)
    stations = []
    for station in range(1, STATIONS + 1):
        commuters = random.uniform(0.2, 1.0)
        level = np.repeat(np.exp(_wandering(random, DAYS, keeps=0.95, step=0.06)), 24)
        profile = np.where(weekend, 1.4 * leisure, commuters * commuting + (1 - commuters) * leisure)
        expected = random.uniform(15, 60) * level * weather * (0.05 + profile)
        stations.append(pd.DataFrame({"station_id": station, "hour": hours, "trips": random.poisson(expected)}))
    table = pd.concat(stations)
    foreseen = np.tile(np.roll(temperature, -24) + random.normal(0, 1, len(hours)), STATIONS)
    table["temperature_tomorrow"] = foreseen.round(1)
    table["rain_tomorrow"] = np.tile(np.roll(rain, -24) * random.uniform(0.6, 1.4, len(hours)), STATIONS).round(1)
    return table.sort_values(["hour", "station_id"])


def _wandering(random: np.random.Generator, length: int, *, keeps: float, step: float) -> np.ndarray:
    """A series that keeps a share of its last value and takes a random step."""
    values = np.zeros(length)
    for place, change in enumerate(random.normal(0, step, length)):
        values[place] = keeps * values[place - 1] + change
    return values


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("history", help="make the table anew, with all hours before the service begins")
    commands.add_parser("hours", help="add the hours that follow").add_argument("count", type=int)
    arguments = parser.parse_args()
    rows = simulated()
    with psycopg.connect(settings().database_roles().author) as connection:
        if arguments.command == "history":
            connection.execute(TABLE)
            new = rows[rows["hour"] < SERVICE_BEGINS]
        else:
            ((last,),) = connection.execute("SELECT max(hour) FROM station_hours").fetchall()
            new = rows[(rows["hour"] > last) & (rows["hour"] <= last + pd.Timedelta(hours=arguments.count))]
        columns = "station_id, hour, trips, temperature_tomorrow, rain_tomorrow"
        with connection.cursor().copy(f"COPY station_hours ({columns}) FROM STDIN") as copy:
            for row in new[columns.split(", ")].itertuples(index=False):
                copy.write_row(row)
    print(f"{len(new)} hours of {STATIONS} stations, until {new['hour'].max():%Y-%m-%d %H:%M}")


if __name__ == "__main__":
    main()
