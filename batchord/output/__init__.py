"""Masks the secrets in all text that leaves the process."""
