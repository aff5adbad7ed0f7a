-- SPDX-License-Identifier: Apache-2.0
-- Applied migrations are never edited: the program compares their digests.

CREATE TABLE studies (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    study_uid    text NOT NULL UNIQUE,
    accession    text NOT NULL DEFAULT '',
    patient_id   text NOT NULL DEFAULT '',
    patient_name text NOT NULL DEFAULT '',
    study_date   text NOT NULL DEFAULT '',
    description  text NOT NULL DEFAULT '',
    generation   integer NOT NULL DEFAULT 0, -- the newest that was planned
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX studies_accession ON studies (accession) WHERE accession <> '';

CREATE TABLE series (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    study_id   bigint NOT NULL REFERENCES studies,
    series_uid text NOT NULL,
    modality   text NOT NULL DEFAULT '',
    UNIQUE (study_id, series_uid)
);

CREATE TABLE instances (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    study_id        bigint NOT NULL REFERENCES studies,
    series_id       bigint NOT NULL REFERENCES series,
    kind            smallint NOT NULL CHECK (kind BETWEEN 0 AND 3), -- original, carrier, restored, report
    sop_uid         text NOT NULL,
    sop_class_uid   text NOT NULL,
    transfer_syntax text NOT NULL,
    calling_ae      text NOT NULL,
    called_ae       text NOT NULL,
    path            text NOT NULL,
    file_bytes      bigint NOT NULL,
    pixel_hash      bytea CHECK (octet_length(pixel_hash) = 32),
    dataset_hash    bytea CHECK (octet_length(dataset_hash) = 32),
    file_hash       bytea NOT NULL CHECK (octet_length(file_hash) = 32),
    received_at     timestamptz NOT NULL,
    indexed_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    restored_from   bigint REFERENCES instances, -- the carrier
    generation      integer,                     -- NULL: not planned yet
    quarantined_at  timestamptz,
    quarantine_reason text,
    -- The same object twice is one row; the same UID with other bytes is another row. A carrier and
    -- what was restored from it may share the UID, so the kind belongs to the key.
    UNIQUE (sop_uid, kind, file_hash)
);
CREATE INDEX instances_pending ON instances (study_id, series_id, id)
    WHERE generation IS NULL AND quarantined_at IS NULL;
CREATE INDEX instances_series ON instances (series_id);
CREATE INDEX instances_restored_from ON instances (restored_from) WHERE restored_from IS NOT NULL;

CREATE TABLE generations (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    study_id   bigint NOT NULL REFERENCES studies,
    generation integer NOT NULL CHECK (generation > 0),
    rule       text NOT NULL,
    planned_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (study_id, generation)
);

CREATE TABLE reports (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    study_id     bigint NOT NULL REFERENCES studies,
    name         text NOT NULL,
    media_type   text NOT NULL,
    source       text NOT NULL,
    data         bytea NOT NULL,
    data_hash    bytea NOT NULL CHECK (octet_length(data_hash) = 32),
    sent_already boolean NOT NULL, -- came out of carriers: never hidden again
    generation   integer,          -- with which it was sent
    received_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (study_id, data_hash)
);
ALTER TABLE reports ALTER COLUMN data SET STORAGE EXTERNAL; -- PDFs are compressed already
CREATE INDEX reports_unsent ON reports (study_id) WHERE generation IS NULL AND NOT sent_already;

CREATE TABLE capsules (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    generation_id bigint NOT NULL REFERENCES generations,
    capsule_id    bytea NOT NULL UNIQUE CHECK (octet_length(capsule_id) = 16),
    saved         bytea NOT NULL, -- sealed; the same carrier can be made again from it
    shares_total  bigint NOT NULL,
    shares_needed bigint NOT NULL
);
ALTER TABLE capsules ALTER COLUMN saved SET STORAGE EXTERNAL;
CREATE INDEX capsules_generation ON capsules (generation_id);

CREATE TYPE delivery_state AS ENUM
    ('waiting', 'ready', 'leased', 'sent', 'committed', 'failed', 'cancelled');

CREATE TABLE deliveries (
    id                bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    generation_id     bigint NOT NULL REFERENCES generations,
    instance_id       bigint NOT NULL REFERENCES instances,
    peer              text NOT NULL, -- its name in the configuration
    rule              text NOT NULL,
    action            smallint NOT NULL CHECK (action BETWEEN 0 AND 2), -- as is, carrier, sidecar
    capsule           bigint REFERENCES capsules,
    share_index       bigint,
    with_key_block    boolean NOT NULL,
    with_certificate  boolean NOT NULL,
    state             delivery_state NOT NULL,
    note              text NOT NULL DEFAULT '',
    attempts          integer NOT NULL DEFAULT 0, -- claims, so that one that kills its worker counts
    ready_at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    leased_by         text,
    leased_until      timestamptz,
    created_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at       timestamptz,
    dimse_status      integer,
    cause             text NOT NULL DEFAULT '',
    sent_sop_uid      text,
    sent_pixel_hash   bytea,
    sent_dataset_hash bytea,
    sent_file_hash    bytea,
    hidden_bits       bigint,
    psnr_format_db    double precision, -- NULL: no pixel differs
    psnr_dynamic_db   double precision,
    max_difference    bigint,
    UNIQUE (instance_id, peer),
    CHECK ((state = 'leased') = (leased_by IS NOT NULL)),
    CHECK ((state = 'leased') = (leased_until IS NOT NULL))
);
CREATE INDEX deliveries_due ON deliveries (peer, generation_id, id)
    WHERE state IN ('ready', 'leased');
CREATE INDEX deliveries_stuck ON deliveries (peer) WHERE state IN ('waiting', 'failed');
CREATE INDEX deliveries_generation ON deliveries (generation_id);

CREATE TABLE delivery_attempts (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    delivery_id  bigint NOT NULL REFERENCES deliveries,
    attempt      integer NOT NULL,
    finished_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    duration_us  bigint NOT NULL,
    node         text NOT NULL,
    outcome      delivery_state NOT NULL,
    dimse_status integer, -- NULL: no answer
    cause        text NOT NULL
);
CREATE INDEX delivery_attempts_delivery ON delivery_attempts (delivery_id);

-- What happened to whom, for good. No foreign keys: an event outlives the rows that it speaks of.
CREATE TABLE events (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    node        text NOT NULL,
    kind        text NOT NULL,
    actor       text NOT NULL,
    instance_id bigint,
    study_id    bigint,
    before_hash bytea CHECK (octet_length(before_hash) = 32), -- file hashes
    after_hash  bytea CHECK (octet_length(after_hash) = 32),
    detail      jsonb
);
CREATE INDEX events_instance ON events (instance_id) WHERE instance_id IS NOT NULL;
CREATE INDEX events_study ON events (study_id) WHERE study_id IS NOT NULL;

CREATE FUNCTION events_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'events are append-only: % refused', TG_OP USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE TRIGGER events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION events_refuse_change();
-- Also for a session that calls itself a replica.
ALTER TABLE events ENABLE ALWAYS TRIGGER events_append_only;
