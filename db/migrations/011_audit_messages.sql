-- SPDX-License-Identifier: Apache-2.0

-- How far each node's events were told to an audit repository. The log is the queue.
CREATE TABLE audit_repositories (
    node       text NOT NULL,
    repository text NOT NULL,   -- HOST:PORT
    told       bigint NOT NULL, -- the last one that the repository has read, as far as it can be known
    sure       bigint NOT NULL, -- the last one before it was reached once more
    told_at    timestamptz,
    PRIMARY KEY (node, repository),
    CHECK (sure <= told)
);
