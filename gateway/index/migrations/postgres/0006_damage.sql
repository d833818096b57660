-- Why the object of a version cannot be had whole, found when the index was rebuilt; empty where nothing is wrong.
ALTER TABLE version ADD COLUMN damage TEXT COLLATE "C" NOT NULL DEFAULT '';
CREATE INDEX version_damaged ON version (id) WHERE damage != '';
-- How what is built beside another index is built; empty in one that serves.
CREATE TABLE rebuild (mode TEXT NOT NULL);
