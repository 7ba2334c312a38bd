"""Draws charts as SVG, and writes numbers and times, for the dashboard's pages and for the report of a run."""
