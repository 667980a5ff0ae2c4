// Webhooks as a receiver sees them: what is sent, how it is signed, when it is tried again, and what becomes of an endpoint.
import assert from 'node:assert/strict';
import { createPublicKey, verify } from 'node:crypto';
import { after, before, describe, test } from 'node:test';

import { Webhook } from 'standardwebhooks';
import { Webhook as SvixWebhook } from 'svix';

import { until } from '../lib/process.mjs';
import { HANG, Receiver } from '../lib/receiver.mjs';
import { startStack } from '../lib/stack.mjs';

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
let stack, receiver, second;
let places = 0;

// A company of its own with an endpoint of its own: { company, admin, endpoint, path }.
async function world(fields = {}) {
    const company = await stack.addCompany();
    const admin = stack.client({ company, role: 'company_admin' });
    return { company, admin, ...(await addEndpoint(admin, fields)) };
}

async function addEndpoint(admin, fields = {}) {
    const path = `/${++places}`;
    const made = await admin.post('/v1/webhook-endpoints', { url: receiver.url(path), event_types: ['project.*'], ...fields });
    assert.equal(made.status, 201, made.text);
    return { endpoint: made.body, path };
}

async function addProject(admin, name = 'Bridge') {
    const made = await admin.post('/v1/projects', { name });
    assert.equal(made.status, 201, made.text);
    return made.body;
}

async function change(admin, endpoint, fields) {
    const changed = await admin.patch(`/v1/webhook-endpoints/${endpoint.id}`, fields);
    assert.equal(changed.status, 200, changed.text);
    return changed.body;
}

const deliveriesOf = async (admin, endpoint, query = '') =>
    (await admin.get(`/v1/webhook-deliveries?endpoint_id=${endpoint.id}${query}`)).body.data;
const healthOf = async (admin, endpoint) => (await admin.get(`/v1/webhook-health/${endpoint.id}`)).body;
const secretsOf = async (admin, endpoint) => (await admin.get(`/v1/webhook-endpoints/${endpoint.id}/secret`)).body;

// The only delivery to the endpoint, when it has that status.
async function deliveryAs(admin, endpoint, status, ms = 20_000) {
    let found;
    await until(async () => (found = (await deliveriesOf(admin, endpoint))[0])?.status === status, ms, `a delivery that is ${status}`);
    return found;
}

const verified = (Library, secret, { headers, text }) => new Library(secret).verify(text, headers);
// What is due at a later time is due now.
const makeDue = (admin, endpoint) => stack.run(`UPDATE webhook_delivery SET next_at = now() WHERE endpoint_id = '${endpoint.id}' AND next_at IS NOT NULL;
    UPDATE outgoing_lane SET look_at = now() WHERE id = '${endpoint.id}'`);

describe('webhooks', () => {
    before(async () => {
        const allow = { CORTEX_WEBHOOK_ALLOW: '127.0.0.0/8' };
        stack = await startStack('webhooks', { pools: ['webhooks'], gateway: allow, worker: allow });
        second = await stack.addWorker(undefined, 'webhooks');
        receiver = await Receiver.open();
    });
    after(async () => {
        receiver?.close();
        await stack?.stop();
    });

    describe('what is sent', () => {
        test('test_an_event_when_an_endpoint_wants_it_then_it_is_sent_once_and_signed_as_two_libraries_verify', async () => {
            const { company, admin, endpoint, path } = await world();
            const project = await addProject(admin);
            const sent = await receiver.next(path);
            const { secret, previous } = await secretsOf(admin, endpoint);
            assert.equal(previous, null);
            for (const Library of [Webhook, SvixWebhook]) assert.deepEqual(verified(Library, secret, sent), JSON.parse(sent.text));
            assert.throws(() => verified(Webhook, secret, { ...sent, text: sent.text.replace('Bridge', 'Bridgf') }));
            const [event] = await stack.query(`SELECT seq, time_text(at) AS at, actor, data::text AS data FROM events
                WHERE company_id = '${company}' AND type = 'project.created'`);
            assert.equal(sent.text, `{"type":"project.created","timestamp":"${event.at}","seq":${event.seq},"id":"${project.id}",` +
                `"project":"${project.id}","actor":"${event.actor}","data":${event.data}}`);
            assert.equal(sent.headers['content-type'], 'application/json');
            assert.equal(sent.headers.expect, undefined);

            const delivery = await deliveryAs(admin, endpoint, 'delivered');
            assert.equal(delivery.id, sent.headers['webhook-id']);
            assert.deepEqual([delivery.attempts, delivery.http_status, delivery.event_type, delivery.subject_id, delivery.next_at],
                [1, 204, 'project.created', project.id, null]);
            assert.equal((await stack.query(`SELECT count(*)::integer AS n FROM webhook_attempt WHERE delivery_id = '${delivery.id}'`))[0].n, 0);
            const { data: [attempt, ...more] } = (await admin.get(`/v1/webhook-deliveries/${delivery.id}/attempts`)).body;
            assert.deepEqual([attempt.n, attempt.http_status, attempt.error, more.length], [1, 204, null, 0]);
            const health = await healthOf(admin, endpoint);
            assert.deepEqual([health.delivered, health.failures, health.failing_since], [1, 0, null]);
            await sleep(300);
            assert.equal(receiver.of(path).length, 1);
        });

        test('test_an_endpoint_when_it_names_types_and_fields_then_only_such_events_come', async () => {
            const { admin, endpoint, path } = await world({
                event_types: ['project.updated', 'milestone.*'],
                filters: [{ field: 'status', values: ['active', 'pending'] }],
            });
            const project = await addProject(admin); // another type
            const patch = (body) => admin.patch(`/v1/projects/${project.id}`, body);
            assert.equal((await patch({ name: 'Other' })).status, 200); // another status
            assert.equal((await patch({ status: 'active' })).status, 200);
            assert.equal(JSON.parse((await receiver.next(path)).text).data.status, 'active');
            await sleep(300);
            assert.equal((await deliveriesOf(admin, endpoint)).length, 1);
        });

        test('test_an_endpoint_when_a_filter_names_null_then_empty_fields_match', async () => {
            const { admin, path } = await world({ filters: [{ field: 'description', values: [null] }, { field: 'archived', values: ['false'] }] });
            await admin.post('/v1/projects', { name: 'With', description: 'x' });
            await addProject(admin, 'Without');
            assert.equal(JSON.parse((await receiver.next(path)).text).data.name, 'Without');
        });

        test('test_an_endpoint_when_it_is_thin_and_has_headers_then_the_body_has_no_entity_and_the_headers_are_sent', async () => {
            const { admin, endpoint, path } = await world({ body: 'thin', headers: [{ name: 'X-Site', value: 'north' }, { name: 'Authorization', value: 'Bearer t' }] });
            const project = await addProject(admin);
            const sent = await receiver.next(path);
            assert.deepEqual(JSON.parse(sent.text).data, { id: project.id, version: 1 });
            assert.deepEqual([sent.headers['x-site'], sent.headers.authorization], ['north', 'Bearer t']);
            verified(Webhook, (await secretsOf(admin, endpoint)).secret, sent);
        });

        for (const [what, fields, pointer] of [
            ['a_type_is_none', { event_types: ['Project'] }, /^\/event_types/],
            ['a_header_is_ours', { headers: [{ name: 'Webhook-Id', value: 'x' }] }, /^\/headers/],
            ['a_header_is_about_the_connection', { headers: [{ name: 'transfer-encoding', value: 'chunked' }] }, /^\/headers/],
            ['a_header_has_a_second_line', { headers: [{ name: 'X-A', value: 'x\r\nY: z' }] }, /^\/headers/],
            ['a_header_comes_twice', { headers: [{ name: 'X-A', value: '1' }, { name: 'x-a', value: '2' }] }, /^\/headers/],
            ['the_concurrency_is_zero', { concurrency: 0 }, /^\/concurrency/],
        ])
            test(`test_an_endpoint_when_${what}_then_it_is_refused`, async () => {
                const admin = stack.client({ role: 'company_admin' });
                const { status, body } = await admin.post('/v1/webhook-endpoints', { url: receiver.url('/never'), ...fields });
                assert.equal(status, 422);
                assert.match(body.errors[0].pointer, pointer);
            });

        test('test_endpoints_when_the_role_is_no_admin_then_they_are_forbidden', async () => {
            for (const role of ['project_manager', 'supervisor', 'operative', 'developer'])
                assert.equal((await stack.client({ role }).get('/v1/webhook-endpoints')).status, 403, role);
        });
    });

    describe('signatures', () => {
        test('test_a_secret_when_it_is_rotated_then_both_sign_until_the_old_one_ends', async () => {
            const { admin, endpoint, path } = await world();
            const { secret: old } = await secretsOf(admin, endpoint);
            assert.equal((await admin.post(`/v1/webhook-endpoints/${endpoint.id}/rotate-secret`)).status, 200);
            const { secret, previous } = await secretsOf(admin, endpoint);
            assert.equal(previous.secret, old);
            assert.notEqual(secret, old);
            await addProject(admin);
            const both = await receiver.next(path);
            for (const one of [old, secret]) for (const Library of [Webhook, SvixWebhook]) verified(Library, one, both);
            await stack.run(`UPDATE webhook_endpoint SET secret_before_until = now() - interval '1 second' WHERE id = '${endpoint.id}'`);
            await addProject(admin);
            const alone = await receiver.next(path);
            verified(Webhook, secret, alone);
            assert.throws(() => verified(Webhook, old, alone));
            assert.equal(alone.headers['webhook-signature'].split(' ').length, 1);
        });

        test('test_an_endpoint_when_its_signature_is_v1a_then_its_public_key_verifies', async () => {
            const { admin, endpoint, path } = await world({ signature: 'v1a' });
            await addProject(admin);
            const { headers, text } = await receiver.next(path);
            await deliveryAs(admin, endpoint, 'delivered');
            const { public_key: key } = await healthOf(admin, endpoint);
            assert.match(key, /^whpk_/);
            const prefix = Buffer.from('302a300506032b6570032100', 'hex'); // SubjectPublicKeyInfo of Ed25519 (RFC 8410)
            const publicKey = createPublicKey({ key: Buffer.concat([prefix, Buffer.from(key.slice(5), 'base64')]), format: 'der', type: 'spki' });
            const [version, signature] = headers['webhook-signature'].split(',');
            const content = (body) => Buffer.from(`${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`);
            assert.equal(version, 'v1a');
            assert.ok(verify(null, content(text), publicKey, Buffer.from(signature, 'base64')));
            assert.ok(!verify(null, content(`${text} `), publicKey, Buffer.from(signature, 'base64')));
        });

        test('test_a_secret_when_a_client_gives_it_then_it_signs', async () => {
            const secret = `whsec_${Buffer.alloc(24, 7).toString('base64')}`;
            const { admin, path } = await world({ secret });
            await addProject(admin);
            verified(Webhook, secret, await receiver.next(path));
        });
    });

    describe('failures', () => {
        test('test_a_delivery_when_the_receiver_fails_then_it_comes_again_in_5_s_with_the_same_id_and_octets', async () => {
            const { admin, endpoint, path } = await world();
            receiver.answer(path, (one, nth) => (nth === 1 ? { status: 503, body: 'not\0now' } : { status: 200, body: 'thanks' }));
            await addProject(admin);
            const first = await receiver.next(path);
            const waits = await deliveryAs(admin, endpoint, 'retrying');
            assert.deepEqual([waits.attempts, waits.http_status, waits.error], [1, 503, 'The answer was 503.']);
            const again = await receiver.next(path);
            assert.ok(again.at - first.at >= 3900 && again.at - first.at < 8000, `${again.at - first.at} ms`);
            assert.equal(again.headers['webhook-id'], first.headers['webhook-id']);
            assert.equal(again.text, first.text);
            assert.notEqual(again.headers['webhook-timestamp'], first.headers['webhook-timestamp']);
            const { secret } = await secretsOf(admin, endpoint);
            for (const one of [first, again]) verified(Webhook, secret, one);
            const { id } = await deliveryAs(admin, endpoint, 'delivered');
            const { data } = (await admin.get(`/v1/webhook-deliveries/${id}/attempts`)).body;
            assert.deepEqual(data.map((one) => [one.n, one.http_status, one.response]), [[1, 503, 'not?now'], [2, 200, 'thanks']]);
            const health = await healthOf(admin, endpoint);
            assert.deepEqual([health.delivered, health.failures, health.failures_in_row, health.failing_since], [1, 1, 0, null]);
        });

        for (const [what, answer, low, high] of [
            ['says_429', { status: 429 }, 59, 61],
            ['names_seconds', { status: 503, headers: { 'retry-after': '3600' } }, 3599, 3601],
            ['names_a_year', { status: 503, headers: { 'retry-after': '31536000' } }, 86399, 86401],
            ['redirects', { status: 302, headers: { location: 'http://127.0.0.1:9/' } }, 4, 6],
        ])
            test(`test_a_delivery_when_the_receiver_${what}_then_its_next_attempt_is_then`, async () => {
                const { admin, endpoint, path } = await world();
                receiver.answer(path, answer);
                await addProject(admin);
                const { next_at, attempted_at } = await deliveryAs(admin, endpoint, 'retrying');
                const wait = (Date.parse(next_at) - Date.parse(attempted_at)) / 1000;
                assert.ok(wait >= low && wait <= high, `${wait} s`);
            });

        test('test_a_delivery_when_all_its_attempts_fail_then_it_is_exhausted_after_ten', async () => {
            const { admin, endpoint, path } = await world();
            receiver.answer(path, { status: 500 });
            await addProject(admin);
            for (let n = 1; n <= 10; n++) {
                await receiver.count(path, n);
                await until(async () => (await deliveriesOf(admin, endpoint))[0].attempts === n, 10_000, `attempt ${n} to be recorded`);
                await makeDue(admin, endpoint);
            }
            const over = await deliveryAs(admin, endpoint, 'exhausted');
            assert.deepEqual([over.attempts, over.next_at], [10, null]);
            await sleep(500);
            assert.equal(receiver.of(path).length, 10);
        });

        test('test_a_delivery_when_the_receiver_hangs_then_it_ends_after_15_s_and_others_go_on', async () => {
            const { admin, endpoint, path } = await world({ concurrency: 2 });
            receiver.answer(path, () => HANG);
            const other = await addEndpoint(admin);
            for (let i = 0; i < 5; i++) await addProject(admin);
            await receiver.count(other.path, 5, 5_000);
            await receiver.count(path, 2, 5_000);
            assert.equal(receiver.of(path).length, 2);
            await until(async () => (await deliveriesOf(admin, endpoint, '&status=retrying')).length >= 2, 25_000, 'two time-outs');
            const [late] = await deliveriesOf(admin, endpoint, '&status=retrying');
            assert.ok(late.took_ms >= 14_500 && late.took_ms < 20_000, `${late.took_ms} ms`);
            assert.ok(Date.parse(late.next_at) - Date.parse(late.attempted_at) >= 59_000);
        });

        test('test_a_delivery_when_its_address_is_not_allowed_then_the_attempt_fails_and_says_so', async () => {
            const { admin, endpoint } = await world();
            await stack.run(`UPDATE webhook_endpoint SET url = 'https://10.1.2.3/' WHERE id = '${endpoint.id}'`);
            await addProject(admin);
            const failed = await deliveryAs(admin, endpoint, 'retrying');
            assert.match(failed.error, /not allowed.*private/i);
            assert.equal(failed.http_status, null);
        });

        test('test_an_endpoint_when_five_attempts_in_a_row_have_failed_then_one_request_is_under_way', async () => {
            const { admin, endpoint, path } = await world({ concurrency: 4 });
            receiver.answer(path, { status: 500, afterMs: 50 });
            await addProject(admin);
            for (let n = 1; n <= 5; n++) {
                await receiver.count(path, n);
                await until(async () => (await deliveriesOf(admin, endpoint))[0].attempts === n, 10_000);
                if (n < 5) await makeDue(admin, endpoint);
            }
            receiver.most.set(path, 0);
            for (let i = 0; i < 6; i++) await addProject(admin);
            await receiver.count(path, 11);
            assert.equal(receiver.most.get(path), 1);
            receiver.answer(path, { status: 204, afterMs: 50 });
            for (let i = 0; i < 20; i++) await addProject(admin);
            await receiver.count(path, 31);
            assert.ok(receiver.most.get(path) > 1 && receiver.most.get(path) <= 4, `${receiver.most.get(path)}`);
        });
    });

    describe('what a receiver says of itself', () => {
        for (const [what, answer, reason, status] of [
            ['answers_410', { status: 410 }, 'gone', 'failed'],
            ['asks_to_be_disabled', { status: 200, headers: { 'webhook-delivery': 'disable' } }, 'asked', 'delivered'],
        ])
            test(`test_an_endpoint_when_it_${what}_then_it_is_disabled_and_what_follows_is_skipped`, async () => {
                const { company, admin, endpoint, path } = await world();
                receiver.answer(path, answer);
                await addProject(admin);
                await deliveryAs(admin, endpoint, status);
                let now;
                await until(async () => (now = (await admin.get(`/v1/webhook-endpoints/${endpoint.id}`)).body).status === 'disabled', 10_000, 'it to be disabled');
                assert.equal(now.disabled_reason, reason);
                assert.ok(now.disabled_at);
                assert.equal((await stack.query(`SELECT count(*)::integer AS n FROM events WHERE company_id = '${company}' AND type = 'webhook_endpoint.disabled'`))[0].n, 1);
                await addProject(admin);
                await until(async () => (await deliveriesOf(admin, endpoint, '&status=skipped')).length === 1, 10_000, 'what it misses');
                assert.equal(receiver.of(path).length, 1);
                receiver.answer(path, { status: 204 });
                assert.equal((await change(admin, endpoint, { status: 'active' })).disabled_reason, null);
                await addProject(admin);
                await receiver.count(path, 2);
            });

        test('test_a_delivery_when_the_receiver_aborts_it_then_it_is_not_tried_again', async () => {
            const { admin, endpoint, path } = await world();
            receiver.answer(path, { status: 500, headers: { 'webhook-delivery': 'abort-message' } });
            await addProject(admin);
            assert.equal((await deliveryAs(admin, endpoint, 'failed')).next_at, null);
        });

        test('test_an_endpoint_when_nothing_succeeds_for_120_hours_then_its_owner_is_told_and_it_is_disabled', async () => {
            const { company, admin, endpoint, path } = await world();
            receiver.answer(path, { status: 500 });
            await addProject(admin);
            await deliveryAs(admin, endpoint, 'retrying');
            const told = async () => (await stack.query(`SELECT type, (data ->> 'failing')::integer AS percent FROM events
                WHERE company_id = '${company}' AND type ~ '^webhook_endpoint.(failing|recovered|disabled)' ORDER BY seq`)).map(({ type, percent }) => `${type} ${percent}`);
            const failFor = async (hours) => {
                const before = (await healthOf(admin, endpoint)).failures;
                await stack.run(`UPDATE webhook_health SET failing_since = now() - interval '${hours} hours' WHERE id = '${endpoint.id}'`);
                await makeDue(admin, endpoint);
                await until(async () => (await healthOf(admin, endpoint)).failures > before, 10_000, 'a failure');
            };
            for (const [i, hours] of [59, 61, 62, 85, 109, 121].entries()) {
                await failFor(hours);
                await until(async () => (await told()).length >= [0, 1, 1, 2, 3, 4][i], 10_000, `what is told after ${hours} h`);
            }
            assert.deepEqual(await told(), ['webhook_endpoint.failing 50', 'webhook_endpoint.failing 70', 'webhook_endpoint.failing 90', 'webhook_endpoint.disabled 100']);
            const { status, disabled_reason } = (await admin.get(`/v1/webhook-endpoints/${endpoint.id}`)).body;
            assert.deepEqual([status, disabled_reason], ['disabled', 'failing']);
            receiver.answer(path, { status: 204 });
            assert.equal((await change(admin, endpoint, { status: 'active' })).failing, 0);
            await makeDue(admin, endpoint);
            await deliveryAs(admin, endpoint, 'delivered');
        });

        test('test_an_endpoint_when_it_succeeds_after_its_owner_was_told_then_that_is_told_too', async () => {
            const { admin, endpoint, path } = await world();
            receiver.answer(path, { status: 500 });
            await addProject(admin);
            await deliveryAs(admin, endpoint, 'retrying');
            await stack.run(`UPDATE webhook_health SET failing_since = now() - interval '61 hours' WHERE id = '${endpoint.id}'`);
            await makeDue(admin, endpoint);
            const failing = async (percent) => until(async () => (await admin.get(`/v1/webhook-endpoints/${endpoint.id}`)).body.failing === percent, 10_000, `${percent} %`);
            await failing(50);
            receiver.answer(path, { status: 204 });
            await makeDue(admin, endpoint);
            await failing(0);
        });
    });

    describe('what users do', () => {
        test('test_an_endpoint_when_it_is_paused_then_events_are_held_until_it_is_active', async () => {
            const { admin, endpoint, path } = await world();
            await change(admin, endpoint, { status: 'paused' });
            const project = await addProject(admin);
            await deliveryAs(admin, endpoint, 'held');
            await sleep(1500);
            assert.equal(receiver.of(path).length, 0);
            await change(admin, endpoint, { status: 'active' });
            assert.equal(JSON.parse((await receiver.next(path)).text).id, project.id);
            await deliveryAs(admin, endpoint, 'delivered');
        });

        test('test_an_endpoint_when_it_is_deleted_then_its_deliveries_are_cancelled_with_it', async () => {
            const { admin, endpoint, path } = await world();
            receiver.answer(path, { status: 500 });
            await addProject(admin);
            await deliveryAs(admin, endpoint, 'retrying');
            assert.equal((await admin.delete(`/v1/webhook-endpoints/${endpoint.id}`)).status, 204);
            const cancelled = (await deliveriesOf(admin, endpoint))[0];
            assert.deepEqual([cancelled.status, cancelled.next_at], ['cancelled', null]);
            assert.deepEqual(await stack.query(`SELECT id FROM outgoing_lane WHERE id = '${endpoint.id}'`), []);
            assert.equal((await admin.post(`/v1/webhook-deliveries/${cancelled.id}/resend`)).status, 409);
        });

        test('test_an_endpoint_when_it_is_deleted_with_very_many_deliveries_then_all_are_cancelled', async () => {
            const { company, admin, endpoint } = await world({ status: 'paused' });
            await stack.run(`INSERT INTO webhook_delivery (company_id, id, endpoint_id, event_type, event_seq, event_at, subject_id, status, next_at)
                SELECT '${company}', gen_random_uuid(), '${endpoint.id}', 'task.created', n, now(), gen_random_uuid(), 'held', now() FROM generate_series(1, 9000) AS n`);
            assert.equal((await admin.delete(`/v1/webhook-endpoints/${endpoint.id}`)).status, 204);
            await stack.run(`UPDATE schedule SET next_at = now() WHERE name = 'webhook_delivery.sweep'`);
            const left = async () => (await stack.query(`SELECT count(*)::integer AS n FROM webhook_delivery
                WHERE endpoint_id = '${endpoint.id}' AND (status <> 'cancelled' OR next_at IS NOT NULL)`))[0].n;
            await until(async () => (await left()) === 0, 90_000, 'all to be cancelled');
            await until(async () => (await stack.query('SELECT FROM webhook_gone')).length === 0, 10_000, 'the note to go');
        });

        test('test_an_endpoint_when_it_is_tested_then_a_test_event_comes_though_it_wants_none_and_is_paused', async () => {
            const { admin, endpoint, path } = await world({ event_types: ['task.created'] });
            await change(admin, endpoint, { status: 'paused' });
            receiver.answer(path, { status: 500, body: 'no' });
            assert.equal((await admin.post(`/v1/webhook-endpoints/${endpoint.id}/test`)).status, 200);
            const sent = await receiver.next(path);
            assert.equal(JSON.parse(sent.text).type, 'webhook_endpoint.tested');
            verified(Webhook, (await secretsOf(admin, endpoint)).secret, sent);
            const failed = await deliveryAs(admin, endpoint, 'failed');
            assert.deepEqual([failed.attempts, failed.next_at], [1, null]);
        });

        test('test_a_delivery_when_it_is_sent_again_then_it_has_its_id_and_uses_up_no_attempt', async () => {
            const { admin, endpoint, path } = await world();
            receiver.answer(path, (one, nth) => (nth === 2 || nth === 3 ? { status: 500 } : { status: 204 }));
            await addProject(admin);
            const first = await receiver.next(path);
            const { id } = await deliveryAs(admin, endpoint, 'delivered');
            const resend = async () => {
                assert.equal((await admin.post(`/v1/webhook-deliveries/${id}/resend`)).status, 200);
                return receiver.next(path);
            };
            const again = await resend();
            assert.deepEqual([again.headers['webhook-id'], again.text], [id, first.text]);
            await deliveryAs(admin, endpoint, 'delivered'); // it fails, and is what it was
            await resend();
            await resend();
            await until(async () => (await deliveriesOf(admin, endpoint))[0].attempts === 4, 10_000, 'four attempts');
            const { data } = (await admin.get(`/v1/webhook-deliveries/${id}/attempts`)).body;
            assert.deepEqual(data.map((one) => [one.n, one.http_status]), [[1, 204], [2, 500], [3, 500], [4, 204]]);
            assert.equal((await stack.query(`SELECT tries FROM webhook_delivery WHERE id = '${id}'`))[0].tries, 1);
        });

        test('test_a_delivery_when_it_waits_and_is_sent_again_in_vain_then_its_next_attempt_stays', async () => {
            const { admin, endpoint, path } = await world();
            receiver.answer(path, { status: 500, headers: { 'retry-after': '3600' } });
            await addProject(admin);
            const { id, next_at } = await deliveryAs(admin, endpoint, 'retrying');
            assert.equal((await admin.post(`/v1/webhook-deliveries/${id}/resend`)).status, 200);
            await until(async () => (await deliveriesOf(admin, endpoint))[0].attempts === 2, 10_000, 'a second attempt');
            const after = (await deliveriesOf(admin, endpoint))[0];
            assert.deepEqual([after.status, after.next_at], ['retrying', next_at]);
        });
    });

    describe('order and pace', () => {
        test('test_an_endpoint_when_its_order_is_by_subject_then_a_subject_waits_for_its_own_and_no_other', async () => {
            const { admin, path } = await world({ order: 'subject', event_types: ['project.*'] });
            const [slow, quick] = [await addProject(admin, 'slow'), await addProject(admin, 'quick')];
            await receiver.count(path, 2);
            let fails = 2;
            receiver.answer(path, ({ text }) => (JSON.parse(text).id === slow.id && fails-- > 0 ? { status: 500 } : { status: 204 }));
            for (let i = 0; i < 4; i++)
                for (const { id } of [slow, quick]) assert.equal((await admin.patch(`/v1/projects/${id}`, { name: `n${i}` })).status, 200);
            const seqs = ({ id }) => receiver.of(path).map(({ text }) => JSON.parse(text)).filter((one) => one.id === id).map(({ seq }) => seq);
            await until(() => seqs(quick).length === 5, 10_000, 'the others');
            assert.equal(seqs(slow).length, 2); // its first event, and one attempt of the second
            const endpoint = (await admin.get('/v1/webhook-endpoints')).body.data[0];
            for (let i = 0; i < 2; i++) {
                await until(async () => (await deliveriesOf(admin, endpoint, '&status=retrying')).some((one) => one.attempts > i), 10_000, 'a failure');
                await makeDueFirst(endpoint);
            }
            await until(() => seqs(slow).length === 7, 10_000, 'those of the slow one');
            for (const one of [slow, quick]) assert.deepEqual(seqs(one), [...seqs(one)].sort((a, b) => a - b));
        });

        test('test_an_endpoint_when_its_order_is_one_after_the_other_then_requests_are', async () => {
            const { admin, path } = await world({ order: 'endpoint' });
            receiver.answer(path, { status: 204, afterMs: 20 });
            for (let i = 0; i < 15; i++) await addProject(admin);
            await receiver.count(path, 15);
            const seqs = receiver.of(path).map(({ text }) => JSON.parse(text).seq);
            assert.deepEqual(seqs, [...seqs].sort((a, b) => a - b));
            assert.equal(receiver.most.get(path), 1);
        });

        test('test_an_endpoint_when_it_has_a_rate_then_no_more_come_in_a_second', async () => {
            const { admin, path } = await world({ rate: 10 });
            await Promise.all(Array.from({ length: 30 }, () => addProject(admin)));
            const all = await receiver.count(path, 30);
            const took = all.at(-1).at - all[0].at;
            assert.ok(took >= 2700 && took < 10_000, `${took} ms`);
        });

        test('test_an_endpoint_when_it_is_slow_then_no_more_than_its_concurrency_are_under_way', async () => {
            const { admin, path } = await world({ concurrency: 3 });
            receiver.answer(path, { status: 204, afterMs: 150 });
            await Promise.all(Array.from({ length: 30 }, () => addProject(admin)));
            await receiver.count(path, 30);
            assert.equal(receiver.most.get(path), 3);
        });
    });

    describe('many endpoints', () => {
        test('test_endpoints_when_10000_rest_then_a_process_looks_once_a_second', async () => {
            const { company, endpoint, admin, path } = await world();
            await stack.run(`INSERT INTO webhook_endpoint (company_id, id, url, secret)
                SELECT company_id, gen_random_uuid(), url, secret FROM webhook_endpoint, generate_series(1, 10000) WHERE id = '${endpoint.id}'`);
            await stack.run(`UPDATE webhook_endpoint SET status = 'disabled' WHERE company_id = '${company}' AND id <> '${endpoint.id}';
                UPDATE outgoing_lane SET look_at = NULL WHERE company_id = '${company}'`);
            const looks = async () => Number((await stack.query(`SELECT pg_stat_force_next_flush(), coalesce(sum(idx_scan), 0) AS n FROM pg_stat_user_indexes
                WHERE indexrelname = 'outgoing_lane_look'`))[0].n);
            await sleep(4000); // statistics are late by up to a second, and what came before is over
            const before = await looks(), seconds = 8;
            await sleep(seconds * 1000);
            const looked = (await looks()) - before;
            assert.ok(looked >= seconds / 2 && looked <= 2 * (seconds + 2), `${looked} looks of two processes in ${seconds} s`);
            await addProject(admin);
            await receiver.next(path, 5_000);
            await stack.run(`DELETE FROM webhook_endpoint WHERE company_id = '${company}' AND id <> '${endpoint.id}'`);
        });
    });

    describe('workers that die', () => {
        test('test_deliveries_when_a_worker_is_killed_under_way_then_each_comes_under_one_id', async () => {
            const worlds = await Promise.all(Array.from({ length: 6 }, () => world()));
            for (const { path } of worlds) receiver.answer(path, { status: 204, afterMs: 300 });
            const made = Promise.all(worlds.map(async ({ admin }) => {
                for (let i = 0; i < 12; i++) await addProject(admin);
            }));
            await sleep(400);
            await second.kill();
            await second.start();
            await sleep(400);
            await stack.webhooks.kill();
            await stack.webhooks.start();
            await made;
            for (const { admin, endpoint, path } of worlds) {
                await until(async () => (await deliveriesOf(admin, endpoint, '&status=delivered')).length === 12, 30_000, 'all deliveries');
                const ids = new Set(receiver.of(path).map(({ headers }) => headers['webhook-id']));
                assert.equal(ids.size, 12);
                assert.equal((await healthOf(admin, endpoint)).delivered, 12);
            }
        });
    });
});

// The first one of those that wait is due; the others stay behind it.
function makeDueFirst(endpoint) {
    return stack.run(`UPDATE webhook_delivery SET next_at = now() WHERE endpoint_id = '${endpoint.id}' AND status = 'retrying';
        UPDATE outgoing_lane SET look_at = now() WHERE id = '${endpoint.id}'`);
}
