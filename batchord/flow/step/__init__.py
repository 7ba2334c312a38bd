"""The work of steps of all kinds except Predict."""
