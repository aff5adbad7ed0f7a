-- SPDX-License-Identifier: Apache-2.0

-- Events become the leaves of a Merkle tree (RFC 9162), one for each node (docs/provenance.md). Rows
-- from before were never proven and stay where nobody takes them for proven.
ALTER TABLE events RENAME TO events_before_log;
ALTER INDEX events_pkey RENAME TO events_before_log_pkey;
ALTER INDEX events_instance RENAME TO events_before_log_instance;
ALTER INDEX events_study RENAME TO events_before_log_study;

CREATE TABLE logs (
    id         integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    log_id     bytea NOT NULL UNIQUE CHECK (octet_length(log_id) = 32), -- SHA-256 of public_key
    node       text NOT NULL,
    public_key bytea NOT NULL, -- SubjectPublicKeyInfo
    certificate bytea NOT NULL, -- X.509
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- No foreign keys: a check for each row would double what the log costs, and verification does it.
-- A row says all that an auditor needs years later; ids of other tables are for joins only. What is
-- hashed are the values of these columns, so detail keeps its text as it was written.
CREATE TABLE events (
    id          bigint PRIMARY KEY, -- from event_blocks
    log         integer, -- of logs; NULL: written by a program without a log
    at          timestamptz NOT NULL,
    node        text NOT NULL,
    kind        text NOT NULL,
    actor       text NOT NULL,
    instance_id bigint,
    study_id    bigint,
    sop_uid     text,
    study_uid   text,
    peer        text,
    outcome     text,
    before_hash bytea CHECK (octet_length(before_hash) = 32), -- file hashes
    after_hash  bytea CHECK (octet_length(after_hash) = 32),
    detail      json,
    tag         bytea CHECK (octet_length(tag) = 32) -- HMAC-SHA256 by the node
);
CREATE INDEX events_instance ON events (instance_id) WHERE instance_id IS NOT NULL;
CREATE INDEX events_study ON events (study_id) WHERE study_id IS NOT NULL;
-- Each process takes ids by the block.
CREATE SEQUENCE event_blocks AS bigint INCREMENT BY 256 MINVALUE 1;
SELECT setval('event_blocks', (SELECT COALESCE(max(id), 0) FROM events_before_log) / 256 * 256 + 257, false);

CREATE TABLE log_leaves (
    log      integer NOT NULL,
    leaf     bigint NOT NULL CHECK (leaf >= 0),
    event_id bigint NOT NULL UNIQUE,
    hash     bytea NOT NULL CHECK (octet_length(hash) = 32),
    PRIMARY KEY (log, leaf)
);
-- Complete subtrees of 2^8, 2^16 ... leaves, so that a proof reads few rows.
CREATE TABLE log_subtrees (
    log   integer NOT NULL,
    level smallint NOT NULL CHECK (level > 0 AND level % 8 = 0),
    n     bigint NOT NULL CHECK (n >= 0), -- leaves n * 2^level and on
    hash  bytea NOT NULL CHECK (octet_length(hash) = 32),
    PRIMARY KEY (log, level, n)
);
CREATE TABLE log_heads (
    log       integer NOT NULL,
    size      bigint NOT NULL CHECK (size >= 0),
    root      bytea NOT NULL CHECK (octet_length(root) = 32),
    at        timestamptz NOT NULL,
    signature bytea NOT NULL,
    PRIMARY KEY (log, size)
);

-- A second lock beside the privileges, for who works as the owner.
CREATE FUNCTION log_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'insufficient_privilege';
END
$$;
DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['logs', 'events', 'log_leaves', 'log_subtrees', 'log_heads'] LOOP
        EXECUTE format('CREATE TRIGGER %I BEFORE UPDATE OR DELETE OR TRUNCATE ON %I '
                       'FOR EACH STATEMENT EXECUTE FUNCTION log_refuse_change()', t || '_append_only', t);
        -- Also for a session that calls itself a replica.
        EXECUTE format('ALTER TABLE %I ENABLE ALWAYS TRIGGER %I', t, t || '_append_only');
    END LOOP;
END
$$;
