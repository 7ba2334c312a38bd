"""The verbs of Batchord, one file each, in the order the data goes. They talk to ports only."""
