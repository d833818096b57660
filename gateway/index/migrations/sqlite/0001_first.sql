-- Projection: `reindex` makes everything but `partition` and `change` again from journal and objects.
-- State: `change`, kept by the journal. Text compares bytewise (BINARY). Times are microseconds since the epoch.

CREATE TABLE partition (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
INSERT INTO partition VALUES (1, 'default');

CREATE TABLE study (
  id INTEGER PRIMARY KEY, partition INTEGER NOT NULL REFERENCES partition, uid TEXT NOT NULL,
  uid_hash BLOB NOT NULL, patient_hash BLOB NOT NULL DEFAULT x'',
  attributes BLOB NOT NULL DEFAULT x'7b7d', answer BLOB NOT NULL DEFAULT x'7b7d',
  modalities TEXT NOT NULL DEFAULT '', sop_classes TEXT NOT NULL DEFAULT '',
  series_count INTEGER NOT NULL DEFAULT 0, instance_count INTEGER NOT NULL DEFAULT 0,
  version_set BLOB NOT NULL DEFAULT x'00000000000000000000000000000000',
  study_date TEXT NOT NULL DEFAULT '', study_time TEXT NOT NULL DEFAULT '',
  accession_number TEXT NOT NULL DEFAULT '',
  referring_name TEXT NOT NULL DEFAULT '', referring_ideographic TEXT NOT NULL DEFAULT '',
  referring_phonetic TEXT NOT NULL DEFAULT '', referring_words TEXT NOT NULL DEFAULT '',
  patient_name TEXT NOT NULL DEFAULT '', patient_ideographic TEXT NOT NULL DEFAULT '',
  patient_phonetic TEXT NOT NULL DEFAULT '', patient_words TEXT NOT NULL DEFAULT '',
  patient_id TEXT NOT NULL DEFAULT '', issuer_of_patient_id TEXT NOT NULL DEFAULT '',
  patient_birth_date TEXT NOT NULL DEFAULT '', patient_sex TEXT NOT NULL DEFAULT '',
  study_id TEXT NOT NULL DEFAULT '', study_description TEXT NOT NULL DEFAULT '',
  UNIQUE (partition, uid));
CREATE INDEX study_by_date ON study (partition, study_date DESC, study_time DESC, uid)
  WHERE instance_count > 0;
CREATE INDEX study_by_patient_id ON study (partition, patient_id);
CREATE INDEX study_by_birth_date ON study (partition, patient_birth_date);
CREATE INDEX study_by_accession ON study (partition, accession_number);
CREATE INDEX study_by_study_id ON study (partition, study_id);
CREATE INDEX study_by_hash ON study (uid_hash);
CREATE INDEX study_by_patient_hash ON study (patient_hash);

CREATE TABLE series (
  id INTEGER PRIMARY KEY, study INTEGER NOT NULL REFERENCES study, partition INTEGER NOT NULL,
  uid TEXT NOT NULL, uid_hash BLOB NOT NULL,
  attributes BLOB NOT NULL DEFAULT x'7b7d', answer BLOB NOT NULL DEFAULT x'7b7d',
  instance_count INTEGER NOT NULL DEFAULT 0,
  version_set BLOB NOT NULL DEFAULT x'00000000000000000000000000000000',
  modality TEXT NOT NULL DEFAULT '', number INTEGER,
  pps_start_date TEXT NOT NULL DEFAULT '', pps_start_time TEXT NOT NULL DEFAULT '',
  series_description TEXT NOT NULL DEFAULT '', institution_name TEXT NOT NULL DEFAULT '',
  body_part_examined TEXT NOT NULL DEFAULT '', protocol_name TEXT NOT NULL DEFAULT '',
  station_name TEXT NOT NULL DEFAULT '', manufacturer TEXT NOT NULL DEFAULT '',
  manufacturer_model_name TEXT NOT NULL DEFAULT '', frame_of_reference_uid TEXT NOT NULL DEFAULT '',
  UNIQUE (study, uid));
CREATE INDEX series_by_uid ON series (partition, uid);
CREATE INDEX series_by_frame_of_reference ON series (partition, frame_of_reference_uid);
CREATE INDEX series_by_pps_start ON series (partition, pps_start_date);
CREATE INDEX series_by_hash ON series (uid_hash);

-- `version` is the current one, NULL where there is none.
CREATE TABLE instance (
  partition INTEGER NOT NULL, uid TEXT NOT NULL, uid_hash BLOB NOT NULL,
  study INTEGER NOT NULL REFERENCES study, series INTEGER NOT NULL REFERENCES series,
  version TEXT, answer BLOB NOT NULL,
  sop_class TEXT NOT NULL, number INTEGER, acquisition_datetime TEXT NOT NULL,
  PRIMARY KEY (partition, uid));
CREATE INDEX instance_by_series ON instance (series);
CREATE INDEX instance_by_study ON instance (study);
CREATE INDEX instance_by_hash ON instance (uid_hash);

-- `parts` is a hash of the attributes of study and series, equal where these are; `patch` is a header patch.
-- A version in state 'deleted' or 'reclaimed' is the tombstone.
CREATE TABLE version (
  id TEXT PRIMARY KEY, partition INTEGER NOT NULL, revision INTEGER NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('current', 'superseded', 'deleted', 'reclaimed')),
  study_uid TEXT NOT NULL, series_uid TEXT NOT NULL, instance_uid TEXT NOT NULL, sop_class TEXT NOT NULL,
  transfer_syntax TEXT NOT NULL, store TEXT NOT NULL, key TEXT NOT NULL, "offset" INTEGER NOT NULL,
  length INTEGER NOT NULL, file_digest BLOB NOT NULL, content_digest BLOB NOT NULL, received INTEGER NOT NULL,
  parts BLOB NOT NULL, patch BLOB, reason TEXT NOT NULL DEFAULT '') WITHOUT ROWID;
CREATE INDEX version_by_instance ON version (partition, instance_uid);

CREATE TABLE instance_layout (version TEXT PRIMARY KEY, layout BLOB NOT NULL);
CREATE TABLE instance_metadata (version TEXT PRIMARY KEY, body BLOB NOT NULL);

CREATE TABLE request_item (
  series INTEGER NOT NULL REFERENCES series, item INTEGER NOT NULL,
  scheduled_procedure_step_id TEXT NOT NULL, requested_procedure_id TEXT NOT NULL,
  PRIMARY KEY (series, item)) WITHOUT ROWID;
CREATE INDEX request_item_by_step ON request_item (scheduled_procedure_step_id);
CREATE INDEX request_item_by_procedure ON request_item (requested_procedure_id);

CREATE TABLE conflict (
  study INTEGER NOT NULL REFERENCES study, tag TEXT NOT NULL, shown TEXT NOT NULL, differing TEXT NOT NULL,
  instance TEXT NOT NULL, version TEXT NOT NULL, PRIMARY KEY (study, tag, version)) WITHOUT ROWID;

-- n-grams of the text keys (dicom/query/searchkeys.py), as hex so that any character is part of a token.
CREATE VIRTUAL TABLE study_gram USING fts5 (grams, content = '', detail = none, tokenize = 'ascii');
CREATE VIRTUAL TABLE series_gram USING fts5 (grams, content = '', detail = none, tokenize = 'ascii');

-- Append-only, except for the mark that the journal has the row.
CREATE TABLE change (
  revision INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL, kind TEXT NOT NULL,
  partition INTEGER NOT NULL, study TEXT NOT NULL, series TEXT NOT NULL, instance TEXT NOT NULL,
  sop_class TEXT NOT NULL, version_before TEXT, version_after TEXT,
  source_kind TEXT NOT NULL, source_peer TEXT NOT NULL, source_ae_title TEXT NOT NULL,
  principal TEXT NOT NULL, reason TEXT NOT NULL,
  store TEXT, key TEXT, "offset" INTEGER, length INTEGER, file_digest BLOB NOT NULL,
  content_digest BLOB NOT NULL, transfer_syntax TEXT NOT NULL, journaled INTEGER NOT NULL DEFAULT 0);
CREATE INDEX change_unjournaled ON change (revision) WHERE journaled = 0;
