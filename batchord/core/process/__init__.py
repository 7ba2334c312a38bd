"""What a process meets: too little memory, faults of a test, an author's way out."""
