"""Drafts: new pipeline files that run as they stand, for `batchord new`."""
