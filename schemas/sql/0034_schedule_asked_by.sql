-- Which operator asked for a run of a schedule now: who acts, beside the person in whose name its command runs.
ALTER TABLE schedule
    ADD COLUMN asked_by         uuid,
    ADD COLUMN asked_by_company uuid,        -- of the operator's token
    ADD COLUMN asked_by_at      timestamptz; -- asked_at of that run; another asked_at is of a process of the version before, which does not say who asks
