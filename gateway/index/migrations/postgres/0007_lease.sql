-- The changes of an operation, so that an outcome whose answer was lost can be looked up; kept for a day.
CREATE TABLE operation (
  id TEXT PRIMARY KEY, first BIGINT NOT NULL, last BIGINT NOT NULL, noted BIGINT NOT NULL
);
CREATE INDEX operation_by_time ON operation (noted);
-- Work that one process does for all: its holder, until when, and when it was done last (microseconds).
CREATE TABLE lease (
  name TEXT PRIMARY KEY, holder TEXT NOT NULL, expires BIGINT NOT NULL, done BIGINT NOT NULL DEFAULT 0
);
