-- Whether the file meta information is rewritten when the object is sent: its length then differs.
ALTER TABLE version ADD COLUMN odd_meta INTEGER NOT NULL DEFAULT 0;
