"""What is measured beside Batchord. Each is a program that stands alone, as somebody would write it as a script."""
