-- State, kept by the journal: `extra_key`. Projection: `extra_value` and `extra_failure`, filled in the background.
-- `id` is the revision of the change that declared the key; `place` is how far filling has come.
CREATE TABLE extra_key (
  id INTEGER PRIMARY KEY, definition TEXT NOT NULL, level TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('filling', 'ready', 'dropping')),
  place TEXT NOT NULL DEFAULT '', done INTEGER NOT NULL DEFAULT 0, declared INTEGER NOT NULL);

-- `owner` is the id of the study or series, 0 for instances, which have `instance` (a UID) and `version`.
CREATE TABLE extra_value (
  key INTEGER NOT NULL, owner INTEGER NOT NULL, version TEXT NOT NULL, item TEXT NOT NULL, ordinal INTEGER NOT NULL,
  instance TEXT NOT NULL, text TEXT NOT NULL, ideographic TEXT NOT NULL, phonetic TEXT NOT NULL,
  words TEXT NOT NULL, PRIMARY KEY (key, owner, version, item, ordinal)) WITHOUT ROWID;
CREATE INDEX extra_value_by_text ON extra_value (key, text, instance);

CREATE TABLE extra_failure (
  key INTEGER NOT NULL, owner INTEGER NOT NULL, version TEXT NOT NULL, study_uid TEXT NOT NULL,
  series_uid TEXT NOT NULL, instance_uid TEXT NOT NULL, reason TEXT NOT NULL,
  PRIMARY KEY (key, owner, version)) WITHOUT ROWID;
