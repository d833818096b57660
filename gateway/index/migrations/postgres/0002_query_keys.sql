-- State, kept by the journal: `extra_key`. Projection: `extra_value` and `extra_failure`, filled in the background.
-- `id` is the revision of the change that declared the key; `place` is how far filling has come.
CREATE TABLE extra_key (
  id BIGINT PRIMARY KEY, definition TEXT COLLATE "C" NOT NULL, level TEXT COLLATE "C" NOT NULL,
  state TEXT COLLATE "C" NOT NULL CHECK (state IN ('filling', 'ready', 'dropping')),
  place TEXT COLLATE "C" NOT NULL DEFAULT '', done BIGINT NOT NULL DEFAULT 0, declared BIGINT NOT NULL);

-- `owner` is the id of the study or series, 0 for instances, which have `instance` (a UID) and `version`.
CREATE TABLE extra_value (
  key BIGINT NOT NULL, owner BIGINT NOT NULL, version TEXT COLLATE "C" NOT NULL, item TEXT COLLATE "C" NOT NULL,
  ordinal INTEGER NOT NULL, instance TEXT COLLATE "C" NOT NULL, text TEXT COLLATE "C" NOT NULL,
  ideographic TEXT COLLATE "C" NOT NULL, phonetic TEXT COLLATE "C" NOT NULL, words TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (key, owner, version, item, ordinal));
CREATE INDEX extra_value_by_text ON extra_value (key, text, instance);

CREATE TABLE extra_failure (
  key BIGINT NOT NULL, owner BIGINT NOT NULL, version TEXT COLLATE "C" NOT NULL,
  study_uid TEXT COLLATE "C" NOT NULL, series_uid TEXT COLLATE "C" NOT NULL,
  instance_uid TEXT COLLATE "C" NOT NULL, reason TEXT COLLATE "C" NOT NULL, PRIMARY KEY (key, owner, version));
