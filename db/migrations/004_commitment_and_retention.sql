-- SPDX-License-Identifier: Apache-2.0

-- What we ask of peers: one transaction of storage commitment (PS3.4 annex J) for a batch of deliveries
-- to one peer. The row is there before the request leaves.
CREATE TABLE commitments (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    transaction_uid text NOT NULL UNIQUE,
    peer            text NOT NULL,
    state           text NOT NULL DEFAULT 'asking'
                    CHECK (state IN ('asking', 'asked', 'answered', 'given-up')),
    asks            integer NOT NULL DEFAULT 0, -- attempts to ask
    next_at         timestamptz NOT NULL DEFAULT clock_timestamp(), -- asking: ask then; asked: give up then
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    asked_at        timestamptz,
    answered_at     timestamptz,
    cause           text NOT NULL DEFAULT ''
);
CREATE INDEX commitments_due ON commitments (peer, next_at) WHERE state IN ('asking', 'asked');

CREATE TABLE commitment_items (
    commitment_id bigint NOT NULL REFERENCES commitments,
    delivery_id   bigint NOT NULL REFERENCES deliveries,
    sop_class_uid text NOT NULL,
    sop_uid       text NOT NULL, -- as sent
    answer        integer,       -- NULL: none yet; 0: committed; else the reason of the failure
    PRIMARY KEY (commitment_id, delivery_id)
);
CREATE INDEX commitment_items_delivery ON commitment_items (delivery_id);

ALTER TABLE deliveries
    ADD COLUMN commitment bigint REFERENCES commitments, -- the newest that asks for it
    ADD COLUMN commitment_asks integer NOT NULL DEFAULT 0, -- transactions that asked for it
    ADD COLUMN commitment_after timestamptz, -- not asked for again before
    ADD COLUMN commitment_failures integer NOT NULL DEFAULT 0; -- sent again for it
CREATE INDEX deliveries_uncommitted ON deliveries (peer, generation_id) WHERE state = 'sent' AND commitment IS NULL;

-- What peers ask of us.
CREATE TABLE commitment_requests (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    transaction_uid text NOT NULL,
    calling_ae      text NOT NULL,
    called_ae       text NOT NULL, -- who we were for him
    peer            text NOT NULL, -- its name in the configuration
    archive         text NOT NULL, -- of the node that was asked: it alone can read what it has
    state           text NOT NULL DEFAULT 'checking'
                    CHECK (state IN ('checking', 'reporting', 'reported', 'given-up')),
    attempts        integer NOT NULL DEFAULT 0, -- reports that were not taken
    next_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    requested_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    reported_at     timestamptz,
    cause           text NOT NULL DEFAULT '',
    UNIQUE (calling_ae, transaction_uid)
);
CREATE INDEX commitment_requests_due ON commitment_requests (next_at) WHERE state IN ('checking', 'reporting');

CREATE TABLE commitment_request_items (
    request_id    bigint NOT NULL REFERENCES commitment_requests,
    n             integer NOT NULL,
    sop_class_uid text NOT NULL,
    sop_uid       text NOT NULL,
    answer        integer, -- as above
    PRIMARY KEY (request_id, n)
);
CREATE INDEX commitment_request_items_uid ON commitment_request_items (sop_uid);

-- Retention: the row of an instance stays when its file goes, so that a late duplicate is known.
ALTER TABLE instances
    ADD COLUMN deleted_at timestamptz, -- decided; from here on the file may be gone
    ADD COLUMN removed_at timestamptz, -- the file is gone
    ADD CHECK (removed_at IS NULL OR deleted_at IS NOT NULL);
CREATE INDEX instances_kept ON instances (id) WHERE deleted_at IS NULL AND generation IS NOT NULL;
CREATE INDEX instances_to_remove ON instances (id) WHERE deleted_at IS NOT NULL AND removed_at IS NULL;
