-- SPDX-License-Identifier: Apache-2.0

-- Whether there is a Pixel Data element at all, also where nobody here can decode it: what rules call
-- an object has none. Rows from before count as images, as they did.
ALTER TABLE instances ADD COLUMN has_pixel_data boolean NOT NULL DEFAULT true;
ALTER TABLE instances ALTER COLUMN has_pixel_data DROP DEFAULT;

-- A late report asks for its study's instances of every generation.
CREATE INDEX instances_study ON instances (study_id);

-- An image that was sent may carry a report that came later: once more, in another generation.
ALTER TABLE deliveries DROP CONSTRAINT deliveries_instance_id_peer_key;
ALTER TABLE deliveries ADD UNIQUE (generation_id, instance_id, peer);
CREATE INDEX deliveries_instance ON deliveries (instance_id);
-- Taken back while it was being sent: what it becomes when that attempt fails.
ALTER TABLE deliveries ADD COLUMN recalled delivery_state CHECK (recalled IN ('waiting', 'cancelled'));
DROP INDEX deliveries_generation; -- the new constraint's index begins with it
