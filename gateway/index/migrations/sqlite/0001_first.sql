-- Projections of journal and objects: everything but `partition` can be rebuilt by `reindex`.
-- Text compares bytewise (SQLite's BINARY collation). Times are microseconds since the epoch.

CREATE TABLE partition (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
INSERT INTO partition VALUES (1, 'default');

CREATE TABLE study (
  id INTEGER PRIMARY KEY, partition INTEGER NOT NULL, uid TEXT NOT NULL, uid_hash BLOB NOT NULL,
  patient_hash BLOB NOT NULL, attributes BLOB NOT NULL, answer BLOB NOT NULL,
  modalities TEXT NOT NULL, sop_classes TEXT NOT NULL,
  series_count INTEGER NOT NULL, instance_count INTEGER NOT NULL, version_set BLOB NOT NULL,
  study_date TEXT NOT NULL, study_time TEXT NOT NULL, accession_number TEXT NOT NULL,
  referring_name TEXT NOT NULL, referring_tokens TEXT NOT NULL,
  patient_name TEXT NOT NULL, patient_tokens TEXT NOT NULL, patient_id TEXT NOT NULL,
  issuer_of_patient_id TEXT NOT NULL, patient_birth_date TEXT NOT NULL, patient_sex TEXT NOT NULL,
  study_id TEXT NOT NULL, study_description TEXT NOT NULL,
  UNIQUE (partition, uid));
CREATE INDEX study_by_date ON study (partition, (study_date = ''), study_date DESC, study_time DESC, uid);
CREATE INDEX study_by_day ON study (partition, study_date);
CREATE INDEX study_by_patient_id ON study (partition, patient_id);
CREATE INDEX study_by_patient_name ON study (partition, patient_name);
CREATE INDEX study_by_accession ON study (partition, accession_number);
CREATE INDEX study_by_hash ON study (uid_hash);
CREATE INDEX study_by_patient_hash ON study (patient_hash);

CREATE TABLE series (
  id INTEGER PRIMARY KEY, study INTEGER NOT NULL REFERENCES study, partition INTEGER NOT NULL,
  uid TEXT NOT NULL, uid_hash BLOB NOT NULL, attributes BLOB NOT NULL, answer BLOB NOT NULL,
  instance_count INTEGER NOT NULL, version_set BLOB NOT NULL,
  modality TEXT NOT NULL, number INTEGER, pps_start_date TEXT NOT NULL, pps_start_time TEXT NOT NULL,
  series_description TEXT NOT NULL, institution_name TEXT NOT NULL, body_part_examined TEXT NOT NULL,
  protocol_name TEXT NOT NULL, station_name TEXT NOT NULL, manufacturer TEXT NOT NULL,
  manufacturer_model_name TEXT NOT NULL, frame_of_reference_uid TEXT NOT NULL,
  UNIQUE (study, uid));
CREATE INDEX series_by_uid ON series (partition, uid);
CREATE INDEX series_by_hash ON series (uid_hash);

CREATE TABLE instance (
  id INTEGER PRIMARY KEY, study INTEGER NOT NULL REFERENCES study, series INTEGER NOT NULL REFERENCES series,
  partition INTEGER NOT NULL, uid TEXT NOT NULL, uid_hash BLOB NOT NULL,
  version TEXT, answer BLOB NOT NULL,
  sop_class TEXT NOT NULL, number INTEGER, acquisition_datetime TEXT NOT NULL,
  UNIQUE (partition, uid));
CREATE INDEX instance_by_series ON instance (series);
CREATE INDEX instance_by_study ON instance (study);
CREATE INDEX instance_by_hash ON instance (uid_hash);

CREATE TABLE version (
  id TEXT PRIMARY KEY, instance INTEGER NOT NULL REFERENCES instance, revision INTEGER NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('current', 'superseded', 'deleted', 'reclaimed')),
  study_uid TEXT NOT NULL, series_uid TEXT NOT NULL, instance_uid TEXT NOT NULL, sop_class TEXT NOT NULL,
  transfer_syntax TEXT NOT NULL, store TEXT NOT NULL, key TEXT NOT NULL, "offset" INTEGER NOT NULL,
  length INTEGER NOT NULL, file_digest BLOB NOT NULL, content_digest BLOB NOT NULL, received INTEGER NOT NULL,
  patch BLOB, reason TEXT NOT NULL DEFAULT '') WITHOUT ROWID;
CREATE INDEX version_by_instance ON version (instance);

CREATE TABLE instance_layout (version TEXT PRIMARY KEY, layout BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE instance_metadata (version TEXT PRIMARY KEY, body BLOB NOT NULL);

CREATE TABLE request_item (
  series INTEGER NOT NULL REFERENCES series, item INTEGER NOT NULL,
  scheduled_procedure_step_id TEXT NOT NULL, requested_procedure_id TEXT NOT NULL,
  PRIMARY KEY (series, item)) WITHOUT ROWID;

CREATE TABLE conflict (
  study INTEGER NOT NULL REFERENCES study, tag TEXT NOT NULL, shown TEXT NOT NULL, differing TEXT NOT NULL,
  instance TEXT NOT NULL, version TEXT NOT NULL, PRIMARY KEY (study, tag, version)) WITHOUT ROWID;

-- State, kept by the journal: append-only but for the mark that the journal has the row.
CREATE TABLE change (
  revision INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL, kind TEXT NOT NULL,
  partition INTEGER NOT NULL, study TEXT NOT NULL, series TEXT NOT NULL, instance TEXT NOT NULL,
  sop_class TEXT NOT NULL, version_before TEXT, version_after TEXT,
  source_kind TEXT NOT NULL, source_peer TEXT NOT NULL, source_ae_title TEXT NOT NULL,
  principal TEXT NOT NULL, reason TEXT NOT NULL,
  store TEXT, key TEXT, "offset" INTEGER, length INTEGER, file_digest BLOB NOT NULL,
  content_digest BLOB NOT NULL, transfer_syntax TEXT NOT NULL, journaled INTEGER NOT NULL DEFAULT 0);
CREATE INDEX change_unjournaled ON change (revision) WHERE journaled = 0;
