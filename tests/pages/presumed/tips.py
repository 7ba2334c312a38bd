"""Writes ``tips.csv``: 400 rides, of which those to the airport and the long ones end with a tip."""

import numpy as np
import pandas as pd

random = np.random.default_rng(0)
past = pd.DataFrame(
    {
        "distance_km": random.uniform(1, 30, 400),
        "hour": random.integers(0, 24, 400),
        "town": random.choice(["airport", "centre", "harbour"], 400),
    }
)
past["tipped"] = ((past["town"] == "airport") | (past["distance_km"] > 20)).astype(int)
past.to_csv("tips.csv", index=False)
