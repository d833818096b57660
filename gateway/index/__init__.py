"""Rows and queries: the port and its drivers (SQLite, PostgreSQL)."""
