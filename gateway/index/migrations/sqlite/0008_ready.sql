-- Values that viewers ask for in addition to those of every search: Study Description as an answer shows it, and
-- the kind of layout, which gives the transfer syntaxes of an instance. NULL is not filled in yet: `index/filling.py`
-- does that, and until then reads compute it.
ALTER TABLE study ADD COLUMN shown_description BLOB;
CREATE INDEX study_unfilled ON study (id) WHERE shown_description IS NULL;
ALTER TABLE instance_layout ADD COLUMN kind TEXT;
CREATE INDEX instance_layout_unfilled ON instance_layout (version) WHERE kind IS NULL;
