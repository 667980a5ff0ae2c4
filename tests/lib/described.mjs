// Whether an answer is what the gateway's own OpenAPI document says of it, judged by a validator that others wrote.
import assert from 'node:assert/strict';

import Ajv from 'ajv/dist/2020.js';
import formats from 'ajv-formats';

const resolved = (document, { $ref, ...value }) => ($ref ? $ref.split('/').slice(1).reduce((at, part) => at[part], document) : value);

// Its references are to the document, wherever it stands.
const absolute = (schema) => JSON.parse(JSON.stringify(schema, (name, value) => (name === '$ref' ? `https://cortex.example/openapi.json${value}` : value)));

export class Described {
    constructor(document) {
        this.ajv = formats.default(new Ajv.default({ strict: false, allErrors: true }));
        this.ajv.addFormat('date-time', /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/); // the one form that our times have
        this.ajv.addSchema({ $id: 'https://cortex.example/openapi.json', ...document });
        this.document = document;
        this.known = new Map();
    }

    // The body of an answer of that operation with that status.
    expect(operationId, { status, body }) {
        const operation = Object.values(this.document.paths).flatMap((path) => Object.values(path)).find((one) => one.operationId === operationId);
        const { $ref } = operation.responses[status].content['application/json'].schema;
        assert.ok($ref, `${operationId} says nothing of its ${status}`);
        const validate = this.ajv.compile({ $ref: `https://cortex.example/openapi.json${$ref}` });
        assert.ok(validate(body), `${operationId}: ${JSON.stringify(validate.errors)} in ${JSON.stringify(body)}`);
    }

    // Any answer of that operation: the document names its status, its media type, and what its body is. isPart: entries have chosen members only.
    expectAnswer({ id, responses }, { status, headers, text, body }, { isPart = false } = {}) {
        assert.ok(responses[status], `${id} says nothing of ${status}`);
        const { content } = resolved(this.document, responses[status]);
        const type = headers['content-type']?.split(';')[0];
        if (!content || status === 304) return assert.equal(text, '', `${id} says that ${status} has no body`);
        assert.ok(content[type], `${id} says nothing of ${type} with ${status}`);
        if (body === undefined) return;
        const validate = this.#compiled(content[type].schema);
        validate(body);
        const errors = (validate.errors ?? []).filter(({ keyword, instancePath }) => !isPart || keyword !== 'required' || !/^\/data\/\d+$/.test(instancePath));
        assert.deepEqual(errors, []);
    }

    #compiled(schema) {
        const key = JSON.stringify(schema);
        if (!this.known.has(key)) this.known.set(key, this.ajv.compile(absolute(schema)));
        return this.known.get(key);
    }

    // A value that a client sends or gets.
    expectSchema(name, value) {
        const validate = this.ajv.compile({ $ref: `https://cortex.example/openapi.json#/components/schemas/${name}` });
        assert.ok(validate(value), `${name}: ${JSON.stringify(validate.errors)} in ${JSON.stringify(value)}`);
    }
}
