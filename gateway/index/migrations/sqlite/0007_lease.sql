-- The changes of an operation, so that an outcome whose answer was lost can be looked up; kept for a day.
CREATE TABLE operation (
  id TEXT PRIMARY KEY, first INTEGER NOT NULL, last INTEGER NOT NULL, noted INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX operation_by_time ON operation (noted);
-- Work that one process does for all: its holder, until when, and when it was done last (microseconds).
CREATE TABLE lease (
  name TEXT PRIMARY KEY, holder TEXT NOT NULL, expires INTEGER NOT NULL, done INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
