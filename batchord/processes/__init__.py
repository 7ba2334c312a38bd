"""Processes: values of a single process, guards, and the end of a process's children."""
