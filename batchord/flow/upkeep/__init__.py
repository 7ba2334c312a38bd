"""What is done beside the runs: what was lost is sent again, watched, audited, pruned, told, switched."""
