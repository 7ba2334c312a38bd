"""The kinds of models, one file each, and what finds, downloads and loads them. Importing it loads no ML library."""
