"""What is secret in a text, by its words, its forms and the values that are known."""
