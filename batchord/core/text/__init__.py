"""Texts from authors and libraries: SQL, names, errors, and text that a terminal shows."""
