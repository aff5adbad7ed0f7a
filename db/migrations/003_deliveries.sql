-- SPDX-License-Identifier: Apache-2.0

-- Low, routine, high, stat. What an object itself asks for; low: nothing.
ALTER TABLE instances ADD COLUMN priority smallint NOT NULL DEFAULT 0 CHECK (priority BETWEEN 0 AND 3);
-- Whose archive the file lies in: only nodes that read this archive plan and deliver it. Rows from
-- before are anybody's.
ALTER TABLE instances ADD COLUMN archive text NOT NULL DEFAULT '';

ALTER TABLE deliveries ADD COLUMN priority smallint NOT NULL DEFAULT 1 CHECK (priority BETWEEN 0 AND 3);
ALTER TABLE deliveries ADD COLUMN archive text NOT NULL DEFAULT ''; -- the instance's
-- In the order of the claim: an urgent study overtakes.
DROP INDEX deliveries_due;
CREATE INDEX deliveries_due ON deliveries (peer, priority DESC, generation_id, id)
    WHERE state IN ('ready', 'leased');

-- Queues that an operator stopped, on every node.
CREATE TABLE peer_pauses (
    peer      text PRIMARY KEY,
    reason    text NOT NULL,
    actor     text NOT NULL,
    paused_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- What each node sees of its way to a peer; a row changes with the state, not with each delivery.
CREATE TABLE peer_circuits (
    peer        text NOT NULL,
    node        text NOT NULL,
    state       smallint NOT NULL CHECK (state BETWEEN 0 AND 2), -- closed, open, half-open
    failures    integer NOT NULL,                                -- in a row
    cause       text NOT NULL,
    changed_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    next_try_at timestamptz,
    PRIMARY KEY (peer, node)
);
