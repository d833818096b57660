-- Projection: `reindex` makes everything but `partition` and `change` again from journal and objects.
-- No foreign keys on tables that ingest writes: the batch locks the study's row, which they would check.
-- `grams` are n-grams of the text keys (dicom/query/searchkeys.py).
-- State: `change`, kept by the journal. Text compares bytewise ("C"). Times are microseconds since the epoch.

CREATE TABLE partition (id INTEGER PRIMARY KEY, name TEXT COLLATE "C" NOT NULL UNIQUE);
INSERT INTO partition VALUES (1, 'default');

CREATE TABLE study (
  id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, partition INTEGER NOT NULL, uid TEXT COLLATE "C" NOT NULL,
  uid_hash BYTEA NOT NULL, patient_hash BYTEA NOT NULL DEFAULT '',
  attributes BYTEA NOT NULL DEFAULT '{}', answer BYTEA NOT NULL DEFAULT '{}',
  modalities TEXT COLLATE "C" NOT NULL DEFAULT '', sop_classes TEXT COLLATE "C" NOT NULL DEFAULT '',
  series_count INTEGER NOT NULL DEFAULT 0, instance_count INTEGER NOT NULL DEFAULT 0,
  version_set BYTEA NOT NULL DEFAULT '\x00000000000000000000000000000000',
  study_date TEXT COLLATE "C" NOT NULL DEFAULT '', study_time TEXT COLLATE "C" NOT NULL DEFAULT '',
  accession_number TEXT COLLATE "C" NOT NULL DEFAULT '',
  referring_name TEXT COLLATE "C" NOT NULL DEFAULT '',
  referring_ideographic TEXT COLLATE "C" NOT NULL DEFAULT '',
  referring_phonetic TEXT COLLATE "C" NOT NULL DEFAULT '', referring_words TEXT COLLATE "C" NOT NULL DEFAULT '',
  patient_name TEXT COLLATE "C" NOT NULL DEFAULT '', patient_ideographic TEXT COLLATE "C" NOT NULL DEFAULT '',
  patient_phonetic TEXT COLLATE "C" NOT NULL DEFAULT '', patient_words TEXT COLLATE "C" NOT NULL DEFAULT '',
  patient_id TEXT COLLATE "C" NOT NULL DEFAULT '', issuer_of_patient_id TEXT COLLATE "C" NOT NULL DEFAULT '',
  patient_birth_date TEXT COLLATE "C" NOT NULL DEFAULT '', patient_sex TEXT COLLATE "C" NOT NULL DEFAULT '',
  study_id TEXT COLLATE "C" NOT NULL DEFAULT '', study_description TEXT COLLATE "C" NOT NULL DEFAULT '',
  grams TEXT[] COLLATE "C" NOT NULL DEFAULT '{}',
  UNIQUE (partition, uid));
CREATE INDEX study_by_date ON study (partition, study_date DESC, study_time DESC, uid);
CREATE INDEX study_by_patient_id ON study (partition, patient_id);
CREATE INDEX study_by_birth_date ON study (partition, patient_birth_date);
CREATE INDEX study_by_accession ON study (partition, accession_number);
CREATE INDEX study_by_study_id ON study (partition, study_id);
CREATE INDEX study_by_gram ON study USING gin (grams);
CREATE INDEX study_by_hash ON study (uid_hash);
CREATE INDEX study_by_patient_hash ON study (patient_hash);

CREATE TABLE series (
  id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, study BIGINT NOT NULL, partition INTEGER NOT NULL,
  uid TEXT COLLATE "C" NOT NULL, uid_hash BYTEA NOT NULL,
  attributes BYTEA NOT NULL DEFAULT '{}', answer BYTEA NOT NULL DEFAULT '{}',
  instance_count INTEGER NOT NULL DEFAULT 0,
  version_set BYTEA NOT NULL DEFAULT '\x00000000000000000000000000000000',
  modality TEXT COLLATE "C" NOT NULL DEFAULT '', number BIGINT,
  pps_start_date TEXT COLLATE "C" NOT NULL DEFAULT '', pps_start_time TEXT COLLATE "C" NOT NULL DEFAULT '',
  series_description TEXT COLLATE "C" NOT NULL DEFAULT '',
  institution_name TEXT COLLATE "C" NOT NULL DEFAULT '',
  body_part_examined TEXT COLLATE "C" NOT NULL DEFAULT '', protocol_name TEXT COLLATE "C" NOT NULL DEFAULT '',
  station_name TEXT COLLATE "C" NOT NULL DEFAULT '', manufacturer TEXT COLLATE "C" NOT NULL DEFAULT '',
  manufacturer_model_name TEXT COLLATE "C" NOT NULL DEFAULT '',
  frame_of_reference_uid TEXT COLLATE "C" NOT NULL DEFAULT '',
  grams TEXT[] COLLATE "C" NOT NULL DEFAULT '{}',
  UNIQUE (study, uid));
CREATE INDEX series_by_uid ON series (partition, uid);
CREATE INDEX series_by_frame_of_reference ON series (partition, frame_of_reference_uid);
CREATE INDEX series_by_pps_start ON series (partition, pps_start_date);
CREATE INDEX series_by_gram ON series USING gin (grams);
CREATE INDEX series_by_hash ON series (uid_hash);

-- `version` is the current one, NULL where there is none.
CREATE TABLE instance (
  partition INTEGER NOT NULL, uid TEXT COLLATE "C" NOT NULL, uid_hash BYTEA NOT NULL,
  study BIGINT NOT NULL, series BIGINT NOT NULL,
  version TEXT COLLATE "C", answer BYTEA NOT NULL,
  sop_class TEXT COLLATE "C" NOT NULL, number BIGINT, acquisition_datetime TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (partition, uid));
CREATE INDEX instance_by_series ON instance (series);
CREATE INDEX instance_by_study ON instance (study);
CREATE INDEX instance_by_hash ON instance (uid_hash);

-- `parts` is a hash of the attributes of study and series, equal where these are; `patch` is a header patch.
-- A version in state 'deleted' or 'reclaimed' is the tombstone.
CREATE TABLE version (
  id TEXT COLLATE "C" PRIMARY KEY, partition INTEGER NOT NULL, revision BIGINT NOT NULL,
  state TEXT COLLATE "C" NOT NULL CHECK (state IN ('current', 'superseded', 'deleted', 'reclaimed')),
  study_uid TEXT COLLATE "C" NOT NULL, series_uid TEXT COLLATE "C" NOT NULL,
  instance_uid TEXT COLLATE "C" NOT NULL, sop_class TEXT COLLATE "C" NOT NULL,
  transfer_syntax TEXT COLLATE "C" NOT NULL, store TEXT COLLATE "C" NOT NULL, key TEXT COLLATE "C" NOT NULL,
  "offset" BIGINT NOT NULL,
  length BIGINT NOT NULL, file_digest BYTEA NOT NULL, content_digest BYTEA NOT NULL, received BIGINT NOT NULL,
  parts BYTEA NOT NULL, patch BYTEA, reason TEXT COLLATE "C" NOT NULL DEFAULT '');
CREATE INDEX version_by_instance ON version (partition, instance_uid);

CREATE TABLE instance_layout (version TEXT COLLATE "C" PRIMARY KEY, layout BYTEA NOT NULL);
CREATE TABLE instance_metadata (version TEXT COLLATE "C" PRIMARY KEY, body BYTEA NOT NULL);

CREATE TABLE request_item (
  series BIGINT NOT NULL, item INTEGER NOT NULL,
  scheduled_procedure_step_id TEXT COLLATE "C" NOT NULL, requested_procedure_id TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (series, item));
CREATE INDEX request_item_by_step ON request_item (scheduled_procedure_step_id);
CREATE INDEX request_item_by_procedure ON request_item (requested_procedure_id);

CREATE TABLE conflict (
  study BIGINT NOT NULL, tag TEXT COLLATE "C" NOT NULL, shown TEXT COLLATE "C" NOT NULL,
  differing TEXT COLLATE "C" NOT NULL,
  instance TEXT COLLATE "C" NOT NULL, version TEXT COLLATE "C" NOT NULL, PRIMARY KEY (study, tag, version));

-- Append-only, except for the mark that the journal has the row. A transaction that takes revisions holds a
-- lock until it has committed: revisions are committed in order, and no gap is ever filled later.
CREATE SEQUENCE change_revision;
CREATE TABLE change (
  revision BIGINT PRIMARY KEY, time BIGINT NOT NULL, kind TEXT COLLATE "C" NOT NULL,
  partition INTEGER NOT NULL, study TEXT COLLATE "C" NOT NULL, series TEXT COLLATE "C" NOT NULL,
  instance TEXT COLLATE "C" NOT NULL,
  sop_class TEXT COLLATE "C" NOT NULL, version_before TEXT COLLATE "C", version_after TEXT COLLATE "C",
  source_kind TEXT COLLATE "C" NOT NULL, source_peer TEXT COLLATE "C" NOT NULL,
  source_ae_title TEXT COLLATE "C" NOT NULL,
  principal TEXT COLLATE "C" NOT NULL, reason TEXT COLLATE "C" NOT NULL,
  store TEXT COLLATE "C", key TEXT COLLATE "C", "offset" BIGINT, length BIGINT, file_digest BYTEA NOT NULL,
  content_digest BYTEA NOT NULL, transfer_syntax TEXT COLLATE "C" NOT NULL,
  journaled SMALLINT NOT NULL DEFAULT 0);
CREATE INDEX change_unjournaled ON change (revision) WHERE journaled = 0;
