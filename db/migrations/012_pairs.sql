-- SPDX-License-Identifier: Apache-2.0

-- The instance beside a sidecar, when it went under another UID because its references were rewritten.
ALTER TABLE deliveries ADD COLUMN sent_beside_uid text;

-- A sidecar and the instance beside it are one delivery and two items.
ALTER TABLE commitment_items DROP CONSTRAINT commitment_items_pkey;
ALTER TABLE commitment_items ADD PRIMARY KEY (commitment_id, delivery_id, sop_uid);
