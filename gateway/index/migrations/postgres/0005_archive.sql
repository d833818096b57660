-- The archive that this index belongs to: the id in its `archive.json`. One row at most.
CREATE TABLE archive (one INTEGER PRIMARY KEY CHECK (one = 1), id TEXT COLLATE "C" NOT NULL);
-- Revisions are numbered from the last committed row: a sequence leaves gaps where a transaction is rolled back.
DROP SEQUENCE change_revision;
