"""Conditions of a process: it lacks memory, a test injects a fault, an author's code wants to end it."""
