-- The archive that this index belongs to: the id in its `archive.json`. One row at most.
CREATE TABLE archive (one INTEGER PRIMARY KEY CHECK (one = 1), id TEXT NOT NULL);
