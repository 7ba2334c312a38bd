"""The systems that Batchord is compared with. Each is a program of its own, as somebody would write it as a script."""
