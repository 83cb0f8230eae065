"""Brokers that need no server and no other process."""
