// Whether an answer is what the gateway's own OpenAPI document says of it, judged by a validator that others wrote.
import assert from 'node:assert/strict';

import Ajv from 'ajv/dist/2020.js';
import formats from 'ajv-formats';

export class Described {
    constructor(document) {
        this.ajv = formats.default(new Ajv.default({ strict: false, allErrors: true }));
        this.ajv.addFormat('date-time', /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/); // the one form that our times have
        this.ajv.addSchema({ $id: 'https://cortex.example/openapi.json', ...document });
        this.document = document;
    }

    // The body of an answer of that operation with that status.
    expect(operationId, { status, body }) {
        const operation = Object.values(this.document.paths).flatMap((path) => Object.values(path)).find((one) => one.operationId === operationId);
        const { $ref } = operation.responses[status].content['application/json'].schema;
        assert.ok($ref, `${operationId} says nothing of its ${status}`);
        const validate = this.ajv.compile({ $ref: `https://cortex.example/openapi.json${$ref}` });
        assert.ok(validate(body), `${operationId}: ${JSON.stringify(validate.errors)} in ${JSON.stringify(body)}`);
    }
    // A value that a client sends or gets.
    expectSchema(name, value) {
        const validate = this.ajv.compile({ $ref: `https://cortex.example/openapi.json#/components/schemas/${name}` });
        assert.ok(validate(value), `${name}: ${JSON.stringify(validate.errors)} in ${JSON.stringify(value)}`);
    }
}
