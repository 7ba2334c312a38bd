"""Addresses of databases, Redis and people: read, checked, and shown without their secrets."""
