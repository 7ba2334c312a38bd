"""Writes ``deliveries.csv``: 400 deliveries that take two minutes for each kilometre, and ten more."""

import numpy as np
import pandas as pd

random = np.random.default_rng(0)
past = pd.DataFrame(
    {
        "distance_km": random.uniform(1, 30, 400),
        "weight_kg": random.uniform(1, 20, 400),
        "service": random.choice(["standard", "express"], 400),
    }
)
past["minutes"] = 10 + 2 * past["distance_km"]
past.to_csv("deliveries.csv", index=False)
