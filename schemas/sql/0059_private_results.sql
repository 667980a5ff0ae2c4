-- A command may be for nobody but its sender (x-audience). It causes no event and takes no number, so its row in the inbox keeps
-- its result: what an event would have said.
ALTER TABLE inbox
    ADD COLUMN type    text,
    ADD COLUMN subject uuid,
    ADD COLUMN actor   uuid,
    ADD COLUMN version bigint,
    ADD COLUMN data    json;

-- The rows that are there satisfy the stricter rule of before, so they need not be looked at.
ALTER TABLE inbox
    DROP CONSTRAINT inbox_success_has_event,
    ADD CONSTRAINT inbox_success_has_result CHECK ((status = 'ok') = (num_nonnulls(seq, data) = 1)) NOT VALID;
