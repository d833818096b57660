-- What viewers ask for beside what every search shows: Study Description as an answer shows it, and what tells in which
-- transfer syntaxes an instance can be had. NULL is not yet made: `index/filling.py` does, and reads do without until then.
ALTER TABLE study ADD COLUMN shown_description BLOB;
CREATE INDEX study_unfilled ON study (id) WHERE shown_description IS NULL;
ALTER TABLE instance_layout ADD COLUMN kind TEXT;
CREATE INDEX instance_layout_unfilled ON instance_layout (version) WHERE kind IS NULL;
