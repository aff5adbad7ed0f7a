-- SPDX-License-Identifier: Apache-2.0

-- What was taken out of the flow and waits for an operator: an instance that has a row, or an entry of
-- the spool that could not become one. A row stays after the decision.
CREATE TABLE quarantine (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    instance_id bigint UNIQUE REFERENCES instances,
    entry       text,          -- ARCHIVE's quarantine/ENTRY.dcm
    archive     text NOT NULL, -- whose files these are
    class       text NOT NULL CHECK (class IN
                ('unreadable', 'unverified', 'no-key', 'incomplete', 'damaged', 'collision')),
    reason      text NOT NULL,
    calling_ae  text NOT NULL,
    file_bytes  bigint NOT NULL,
    file_hash   bytea CHECK (octet_length(file_hash) = 32), -- of an entry: of all after group 0002
    state       text NOT NULL DEFAULT 'held' CHECK (state IN ('held', 'released', 'discarded')),
    held_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    decided_at  timestamptz,
    decided_by  text NOT NULL DEFAULT '',
    decision    text NOT NULL DEFAULT '', -- the operator's reason
    UNIQUE (entry, archive),
    CHECK ((instance_id IS NULL) <> (entry IS NULL))
);
CREATE INDEX quarantine_held ON quarantine (id) WHERE state = 'held';

ALTER TABLE instances
    ADD COLUMN released_at timestamptz,               -- to be forwarded as it is, whatever it carries
    ADD COLUMN discarded bigint NOT NULL DEFAULT 0;   -- the quarantine's row; 0: not discarded
-- Who discards bytes may get the same bytes again, and judge them anew.
ALTER TABLE instances DROP CONSTRAINT instances_sop_uid_kind_file_hash_key;
ALTER TABLE instances ADD UNIQUE (sop_uid, kind, file_hash, discarded);

INSERT INTO quarantine (instance_id, archive, class, reason, calling_ae, file_bytes, held_at)
SELECT id, archive, 'unverified', COALESCE(quarantine_reason, ''), calling_ae, file_bytes, quarantined_at
FROM instances WHERE quarantined_at IS NOT NULL ORDER BY quarantined_at, id;
