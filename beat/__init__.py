"""Beat's scheduler: it turns pipelines into entries of RedBeat."""
