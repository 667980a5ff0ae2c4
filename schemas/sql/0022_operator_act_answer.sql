-- What a worker answered to an operator's request, so that a request that comes twice gets the same answer
-- (workers/engine/housekeeping/operator.h).
ALTER TABLE operator_act
    ADD COLUMN http_status smallint, -- with `answer`: NULL when the act had no reply of a worker, or none yet
    ADD COLUMN answer      json;
