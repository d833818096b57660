"""The index: the port (base.py) and its two drivers, SQLite and PostgreSQL."""
