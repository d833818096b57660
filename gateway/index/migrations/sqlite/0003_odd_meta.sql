-- Whether the file meta of the object is to be written anew on the way out: its length is then another.
ALTER TABLE version ADD COLUMN odd_meta INTEGER NOT NULL DEFAULT 0;
