-- SPDX-License-Identifier: Apache-2.0

-- What peers query by, and are answered with (PS3.4 C.6): DICOM attributes by their tag in eight
-- hexadecimal digits, upper case; text in UTF-8, several values with backslashes, sequences as lists of
-- such objects. What is empty is left out. What is asked for often has a column of its own.
ALTER TABLE studies
    ADD COLUMN attributes jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN name_key   text NOT NULL DEFAULT '', -- the patient's name as it is compared: case folded
    ADD COLUMN name_words text NOT NULL DEFAULT ''; -- for fuzzy comparison: words, and how they sound
ALTER TABLE series ADD COLUMN attributes jsonb NOT NULL DEFAULT '{}';
ALTER TABLE instances ADD COLUMN attributes jsonb; -- NULL: indexed before there were queries
CREATE INDEX instances_undescribed ON instances (id) WHERE attributes IS NULL AND deleted_at IS NULL;

-- Whatever the database's collation is: equality and beginnings.
CREATE INDEX studies_patient_id ON studies (patient_id text_pattern_ops);
CREATE INDEX studies_name_key ON studies (name_key text_pattern_ops);
CREATE INDEX studies_name_groups ON studies (id) WHERE strpos(name_key, '=') > 0;
DROP INDEX studies_accession; -- the new one answers for equality too
CREATE INDEX studies_accession ON studies (accession text_pattern_ops);
CREATE INDEX studies_date ON studies ((left(replace(study_date, '.', ''), 8) COLLATE "C"));
CREATE INDEX series_uid ON series (series_uid);
