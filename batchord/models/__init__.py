"""The kinds of models, one file each, and the code that finds, downloads and loads them. Loads no ML library itself."""
