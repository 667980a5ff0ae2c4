-- Two tables get the names that the code uses: `untold` becomes `unpublished`, and `mark` becomes `begun_mark`.
--
-- Workers of the version before run beside ours during an upgrade and know only the old names. For them the old names stay as
-- updatable views, with the rights and the row-level security of whoever asks. The views go with a later migration, once no such
-- worker can be left.

-- In the order in which a batch locks them, so that this waits for the batches in work and none of them waits for this in turn.
LOCK TABLE untold, mark IN ACCESS EXCLUSIVE MODE;

ALTER TABLE untold RENAME TO unpublished;
ALTER TABLE unpublished RENAME CONSTRAINT untold_pkey TO unpublished_pkey;
ALTER TABLE unpublished RENAME CONSTRAINT untold_slot_check TO unpublished_slot_check;
ALTER TABLE unpublished RENAME CONSTRAINT untold_type_check TO unpublished_type_check;
ALTER TABLE unpublished RENAME CONSTRAINT untold_role_check TO unpublished_role_check;
ALTER INDEX untold_oldest RENAME TO unpublished_oldest;
COMMENT ON TABLE unpublished IS
    'Commands that ran from a row of `deferred` and whose reply and events the broker has not confirmed yet.';

ALTER TABLE mark RENAME TO begun_mark;
ALTER TABLE begun_mark RENAME CONSTRAINT mark_pkey TO begun_mark_pkey;
COMMENT ON TABLE begun_mark IS
    'Commands that a worker has begun and not ended. A row that still stands when its command comes again says that the worker '
    'ended in between; `alone` counts the runs in which the command had a worker for itself.';

CREATE VIEW untold WITH (security_invoker = true) AS SELECT * FROM unpublished;
CREATE VIEW mark WITH (security_invoker = true) AS SELECT * FROM begun_mark;
COMMENT ON VIEW untold IS 'The table `unpublished`, for workers of the version before it was renamed.';
COMMENT ON VIEW mark IS 'The table `begun_mark`, for workers of the version before it was renamed.';

GRANT SELECT, INSERT, DELETE ON untold TO cortex_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON mark TO cortex_worker;
