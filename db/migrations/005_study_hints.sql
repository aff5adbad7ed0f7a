-- SPDX-License-Identifier: Apache-2.0

-- Somebody said that a study is complete. It stands for what had been received by then; what comes
-- later makes it void. By UID, as it may be said before the first instance is indexed.
CREATE TABLE study_hints (
    study_uid text NOT NULL,
    kind      text NOT NULL CHECK (kind IN ('operator', 'commitment')),
    made_at   timestamptz NOT NULL, -- by the clock that instances.received_at is of
    PRIMARY KEY (study_uid, kind)
);
