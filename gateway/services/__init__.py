"""Use cases: ingest, retrieve, search, remove, verify, reindex. No HTTP words and no SQL in here."""
