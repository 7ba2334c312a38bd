"""Finds the secrets in a text: known values in all their forms, and words that look like a secret."""
