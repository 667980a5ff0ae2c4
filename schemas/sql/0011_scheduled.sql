-- How many commands of a company wait for their time is counted when another is sent (CORTEX_SCHEDULED_MAX).
CREATE INDEX deferred_scheduled ON deferred (company_id) WHERE reason = 'schedule';
