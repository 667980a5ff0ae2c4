-- When a schedule asks for something next: a run, or a step of the system's work. NULL: nothing. Workers look at the beginning of the
-- index instead of all schedules. The column is made of the others, so workers of the version before keep it right, too.
-- (200,000 schedules: 2 s, in which schedules and their operators wait, and nobody else does.)

ALTER TABLE schedule ADD COLUMN due_at timestamptz GENERATED ALWAYS AS (
    CASE WHEN run_at IS NOT NULL OR asked_at IS NOT NULL THEN step_at
         WHEN enabled AND next_at IS NOT NULL THEN greatest(next_at, step_at) END) STORED;
CREATE INDEX schedule_due ON schedule (due_at, name) WHERE due_at IS NOT NULL;
-- Each run moves its row to another place of the index.
ALTER TABLE schedule SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);

-- The list of operators.
CREATE INDEX schedule_list ON schedule (created_at, id);
