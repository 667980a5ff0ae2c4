-- Every process sees which migrations have been applied: one that is newer than its database is not ready, and says which is missing.

GRANT SELECT ON schema_migration TO cortex_gateway, cortex_worker;
