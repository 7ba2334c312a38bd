"""The work of a Predict step, in the order of the data: plan, shard, read, prepare, predict, isolate, write."""
