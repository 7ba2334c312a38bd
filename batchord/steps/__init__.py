"""The kinds of steps besides Predict."""
