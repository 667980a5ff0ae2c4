-- What projects keep of their tasks, so that their progress follows a task without reading the others (x-sum in schemas/messages/project.json).
-- NULL: not counted yet (0040). Made by schemac --sums, as the next two are.

ALTER TABLE project ADD COLUMN IF NOT EXISTS task_count numeric;
ALTER TABLE project ADD COLUMN IF NOT EXISTS task_progress numeric;
ALTER TABLE project ADD COLUMN IF NOT EXISTS task_estimates numeric;
ALTER TABLE project ADD COLUMN IF NOT EXISTS task_hours numeric;
ALTER TABLE project ADD COLUMN IF NOT EXISTS task_hours_done numeric;
ALTER TABLE project ADD COLUMN IF NOT EXISTS task_progress_unestimated numeric;
