"""Immutable bytes under a key: the port and its drivers (folder, S3)."""
