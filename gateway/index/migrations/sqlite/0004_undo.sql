-- When a version was deleted: its bytes are kept until the undo window has passed.
ALTER TABLE version ADD COLUMN retired INTEGER NOT NULL DEFAULT 0;
UPDATE version SET retired = c.time FROM change c
  WHERE c.kind = 'delete' AND c.version_before = version.id AND version.state = 'deleted';
CREATE INDEX version_by_retirement ON version (retired, id) WHERE state = 'deleted';
CREATE INDEX version_deleted ON version (partition, study_uid, series_uid) WHERE state = 'deleted';
