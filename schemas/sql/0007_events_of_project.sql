-- What one project's channel missed is found without reading what the rest of the company did meanwhile.
CREATE INDEX events_project ON events (company_id, project, seq) WHERE project IS NOT NULL;
