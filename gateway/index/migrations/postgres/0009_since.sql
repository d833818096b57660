-- Since when (microseconds) this is the index of the archive: what is older, it knows from the journal alone.
ALTER TABLE archive ADD COLUMN since BIGINT NOT NULL DEFAULT 0;
