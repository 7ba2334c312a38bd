"""How a run begins: a tick, another pipeline's end, a person, a range of the past, a repetition."""
