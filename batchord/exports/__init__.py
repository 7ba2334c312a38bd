"""Files of predictions: one module for each format, and the verb that fills them. Importing it costs nothing."""
