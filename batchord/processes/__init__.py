"""What a process needs to know of itself, its children, and those that watch over it."""
