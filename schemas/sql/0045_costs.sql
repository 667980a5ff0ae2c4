-- What projects keep of their time entries, orders and contracts, so that their actual cost follows these (x-sum in schemas/messages/project.json).
-- NULL: not counted yet (0047). Made by schemac --sums, as the next two are.

ALTER TABLE project ADD COLUMN IF NOT EXISTS labour_cost numeric;
ALTER TABLE project ADD COLUMN IF NOT EXISTS order_cost numeric;
ALTER TABLE project ADD COLUMN IF NOT EXISTS contract_cost numeric;
