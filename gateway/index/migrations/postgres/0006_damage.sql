-- Why the object of a version cannot be had whole, found when the index was rebuilt; empty where nothing is wrong.
ALTER TABLE version ADD COLUMN damage TEXT COLLATE "C" NOT NULL DEFAULT '';
CREATE INDEX version_damaged ON version (id) WHERE damage != '';
