"""The command line: serve, import, migrate, reindex, verify, version."""
