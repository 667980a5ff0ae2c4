-- A company sees that nobody runs its command any more, also when it was the broker that gave it up and no result was written:
-- GET /v1/operations/{id} looks its dead letter up by the command. The list of dead letters stays the operators'.

CREATE INDEX dead_letter_operation ON dead_letter (company_id, command_id);

CREATE POLICY own_company ON dead_letter FOR SELECT TO cortex_gateway
    USING (company_id = nullif(current_setting('cortex.company', true), '')::uuid);
