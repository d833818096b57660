-- Why the object of a version cannot be read whole, found when the index was rebuilt; empty where it can.
ALTER TABLE version ADD COLUMN damage TEXT NOT NULL DEFAULT '';
CREATE INDEX version_damaged ON version (id) WHERE damage != '';
-- How an index is built as a second one; empty in one that serves.
CREATE TABLE rebuild (mode TEXT NOT NULL);
