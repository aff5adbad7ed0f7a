-- SPDX-License-Identifier: Apache-2.0

-- One look at what a peer still has of what it was sent. Its results are there from the beginning,
-- without an outcome: a restart goes on where it was.
CREATE TABLE read_back_runs (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    peer         text NOT NULL, -- its name in the configuration
    archive      text NOT NULL, -- whose node can read the originals
    scheduled    boolean NOT NULL,
    actor        text NOT NULL,
    sample       bigint,        -- so many were drawn at most; NULL: all that the conditions name
    seed         bigint,        -- of the draw
    study_uid    text,
    since        timestamptz,
    state        text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'running', 'done', 'incomplete')),
    cause        text NOT NULL DEFAULT '',
    leased_by    text,
    leased_until timestamptz,
    next_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at  timestamptz,
    CHECK ((state = 'running') = (leased_by IS NOT NULL)),
    CHECK ((state = 'running') = (leased_until IS NOT NULL))
);
CREATE INDEX read_back_runs_open ON read_back_runs (next_at) WHERE state IN ('waiting', 'running');
CREATE INDEX read_back_runs_peer ON read_back_runs (peer, id);

CREATE TABLE read_back_results (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id      bigint NOT NULL REFERENCES read_back_runs,
    peer        text NOT NULL,
    part        smallint NOT NULL CHECK (part BETWEEN 0 AND 3), -- what was sent, sidecar, beside it, extra
    delivery_id bigint REFERENCES deliveries, -- NULL: extra
    instance_id bigint REFERENCES instances,
    study_uid   text NOT NULL,
    sop_uid     text NOT NULL,                -- as sent; of an extra one, as the peer has it
    outcome     text CHECK (outcome IN ('intact', 'attributes-changed', 'pixels-changed', 'lossy',
                                        'missing', 'extra', 'unread')),
    detail      jsonb,                        -- tags and numbers, never values
    before_hash bytea CHECK (octet_length(before_hash) = 32), -- of the data set: sent, and as it came
    after_hash  bytea CHECK (octet_length(after_hash) = 32),
    checked_at  timestamptz,
    CHECK ((outcome IS NULL) = (checked_at IS NULL)),
    UNIQUE (run_id, part, sop_uid)
);
CREATE INDEX read_back_results_open ON read_back_results (run_id, study_uid, id) WHERE outcome IS NULL;
-- What a peer's profile is made of.
CREATE INDEX read_back_results_newest ON read_back_results (peer, checked_at DESC) WHERE outcome IS NOT NULL;
