"""The verbs of Batchord, one in each file, in the order of the data. They use only ports."""
