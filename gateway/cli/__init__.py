"""The command line: serve, import, migrate, reindex, sweep, verify, version and others."""
