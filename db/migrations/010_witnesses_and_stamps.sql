-- SPDX-License-Identifier: Apache-2.0

-- What an auditor looks for.
CREATE INDEX events_sop ON events (sop_uid) WHERE sop_uid IS NOT NULL;
CREATE INDEX deliveries_sent_sop ON deliveries (sent_sop_uid) WHERE sent_sop_uid IS NOT NULL;

-- Heads of other nodes' logs, as their carriers named them, with our signature that we saw them; and heads of our own
-- logs with the signatures of others, whose keys stand beside.
CREATE TABLE seen_heads (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    log_id     bytea NOT NULL CHECK (octet_length(log_id) = 32), -- the origin's
    origin     text NOT NULL,                                    -- as the manifest calls it
    size       bigint NOT NULL CHECK (size > 0),
    root       bytea NOT NULL CHECK (octet_length(root) = 32),
    witness    bytea NOT NULL CHECK (octet_length(witness) = 32), -- the log of the node that saw it
    at         timestamptz NOT NULL,
    signature  bytea NOT NULL,
    public_key  bytea, -- of a witness that is none of our nodes
    certificate bytea,
    UNIQUE (log_id, size, root, witness)
);

-- RFC 3161 tokens of tree heads.
CREATE TABLE head_stamps (
    log   integer NOT NULL,
    size  bigint NOT NULL,
    at    timestamptz NOT NULL, -- what the token says
    token bytea NOT NULL,
    PRIMARY KEY (log, size),
    FOREIGN KEY (log, size) REFERENCES log_heads
);

DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['seen_heads', 'head_stamps'] LOOP
        EXECUTE format('CREATE TRIGGER %I BEFORE UPDATE OR DELETE OR TRUNCATE ON %I '
                       'FOR EACH STATEMENT EXECUTE FUNCTION log_refuse_change()', t || '_append_only', t);
        EXECUTE format('ALTER TABLE %I ENABLE ALWAYS TRIGGER %I', t, t || '_append_only');
    END LOOP;
END
$$;
