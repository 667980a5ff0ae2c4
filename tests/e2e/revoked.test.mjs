// Who may act, and until when: revoked tokens, tokens with keys that were replaced, roles that nobody defines. One stack.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { connect } from 'node:net';
import { after, before, describe, test } from 'node:test';

import amqp from 'amqplib';

import { expectCreated, expectProblem, expectStatus } from './api/expect.mjs';
import { closeAll, once, Speaker } from './realtime/clients.mjs';
import { claims } from './revoked/claims.mjs';
import { keys } from './revoked/keys.mjs';
import { starting } from './revoked/starting.mjs';
import { Described } from '../lib/described.mjs';
import { addProjects, begin, ended } from '../lib/exports.mjs';
import { send } from '../lib/http.mjs';
import { until } from '../lib/process.mjs';
import { broker } from '../lib/servers.mjs';
import { startStack } from '../lib/stack.mjs';
import { Stall } from '../lib/stall.mjs';
import { claimsOf, sign } from '../lib/token.mjs';

const revocations = '/v1/admin/revocations';
const PATIENCE_MS = 90_000; // the broker is asked by rabbitmqctl, which takes long on a machine with other work
const nowS = () => Math.floor(Date.now() / 1000);
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const shared = {};
let stack;
before(async () => {
    shared.stack = stack = await startStack('revoked', {
        gateway: { CORTEX_WAIT_MAX_MS: '60000', CORTEX_ADMIN_WAIT_MS: '300000' }, worker: { CORTEX_ADMIN_WAIT_MS: '300000', CORTEX_STUCK_MS: '0' },
    });
});
after(async () => {
    closeAll();
    await stack?.stop();
});

// Somebody whose token was issued a while ago, and an admin of the same company.
async function aPerson(role = 'project_manager') {
    const company = await stack.addCompany('Revoking');
    const who = { company, role, user: randomUUID(), iat: nowS() - 60 };
    return { who, api: stack.client(who), admin: stack.client({ company }), company };
}

const revoke = async ({ who, admin }) => expectCreated(await admin.post(revocations, { user_id: who.user }), revocations);

describe('what is open when a token is revoked', () => {
    test('test_long_poll_when_its_token_is_revoked_then_ends_with_401_within_a_second', async () => {
        const person = await aPerson();
        const answer = person.api.get('/v1/events?after=0', { prefer: 'wait=30', accept: 'application/json' });
        await sleep(200);
        const began = Date.now(), stall = new Stall();
        await revoke(person);
        expectProblem(await answer, 401, 'unauthenticated');
        const took = Date.now() - began, late = stall.end();
        assert.ok(took < 1000 + late, `it took ${took} ms, and this process was held up for ${late} ms`);
    });

    test('test_download_when_its_token_is_revoked_then_is_cut_within_a_second', async () => {
        const person = await aPerson();
        await addProjects(stack, person.company, 40_000);
        const id = await begin(person.api, { resource: 'project', format: 'ndjson' });
        assert.equal((await ended(person.api, id)).status, 'completed');
        const [host, port] = stack.address.split(':');
        const socket = connect({ host, port: Number(port) });
        let bytes = 0, head = '';
        socket.once('data', () => socket.pause());
        socket.on('data', (data) => { bytes += data.length; head += head.includes('\r\n\r\n') ? '' : data.toString('latin1'); });
        socket.on('error', () => {});
        const closed = once(socket, 'close');
        socket.write(`GET /v1/exports/${id}/content HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${stack.token(person.who)}\r\n\r\n`);
        await until(() => bytes > 0, 10_000, 'the beginning of the file');
        await revoke(person);
        await sleep(1000);
        socket.resume();
        await closed;
        const length = Number(/content-length: (\d+)/i.exec(head)[1]);
        assert.ok(bytes < length, `${bytes} of ${length} octets came`);
    });

    test('test_write_when_its_token_is_revoked_while_its_body_arrives_then_401', async () => {
        const person = await aPerson();
        const [host, port] = stack.address.split(':');
        const socket = connect({ host, port: Number(port) });
        let text = '';
        socket.on('data', (data) => { text += data; });
        const body = JSON.stringify({ name: 'Too late' });
        socket.write(`POST /v1/projects HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n`
            + `Authorization: Bearer ${stack.token(person.who)}\r\n\r\n${body.slice(0, 5)}`);
        await sleep(200);
        await revoke(person);
        await sleep(300);
        socket.write(body.slice(5));
        await until(() => text.includes('\r\n\r\n'), 10_000, 'the answer');
        assert.match(text, /^HTTP\/1.1 401 /);
        socket.destroy();
    });

    test('test_revocation_when_it_says_that_it_ends_early_then_the_token_stays_dead', async () => {
        const person = await aPerson();
        const expires = new Date(Date.now() + 1000).toISOString();
        expectCreated(await person.admin.post(revocations, { user_id: person.who.user, expires_at: expires }), revocations);
        await until(async () => (await person.api.get('/v1/projects')).status === 401, 15_000, 'the revocation');
        await sleep(1500);
        for (let i = 0; i < 8; i += 1) expectStatus(await person.api.get('/v1/projects'), 401);
        await revoke({ ...person, who: { user: randomUUID() } }); // what has expired goes now
        await stack.gateway.kill();
        await stack.gateway.start();
        expectStatus(await person.api.get('/v1/projects'), 401);
    });

    test('test_token_without_iat_when_its_user_was_revoked_then_dead_for_good_however_long_ago_that_was', async () => {
        const person = await aPerson();
        const undated = stack.client({ ...person.who, iat: undefined }), other = stack.client({ company: person.company, iat: undefined });
        expectStatus(await undated.get('/v1/projects'), 200); // nobody has been revoked
        await revoke(person);
        await until(async () => (await undated.get('/v1/projects')).status === 401, 2000, 'the revocation');
        await stack.run(`UPDATE revocation SET before = before - interval '3 years', created_at = created_at - interval '3 years',
            expires_at = expires_at - interval '3 years' WHERE user_id = '${person.who.user}'`);
        const operator = stack.client({ role: 'super_admin' }), path = '/v1/admin/schedules/revocation.retention';
        const runs = (await operator.get(path)).body.runs;
        expectStatus(await operator.post(`${path}/run`), 202);
        await until(async () => { const { body } = await operator.get(path); return body.runs > runs && body.last.outcome === 'succeeded'; }, 30_000, 'retention');
        await stack.gateway.kill();
        await stack.gateway.start();
        for (let i = 0; i < 8; i += 1) {
            expectProblem(await undated.get('/v1/projects'), 401, 'unauthenticated');
            expectStatus(await person.api.get('/v1/projects'), 200); // its iat is later than that
            expectStatus(await other.get('/v1/projects'), 200);
        }
    });

    test('test_token_when_it_lives_longer_than_the_bound_or_is_of_the_future_then_401', async () => {
        const claims = claimsOf({ company: stack.company });
        for (const others of [{ exp: nowS() + 40 * 86400 }, { iat: nowS() + 3600 }, { iat: undefined, exp: nowS() + 40 * 86400 }]) {
            const token = sign({ ...claims, ...others }, stack.secret);
            const answer = await send(`${stack.url}/v1/projects`, { headers: { authorization: `Bearer ${token}` } });
            expectProblem(answer, 401, 'unauthenticated');
        }
    });
});

describe('commands that wait when their sender is revoked', () => {
    const later = (s) => ({ 'cortex-run-at': new Date(Date.now() + s * 1000).toISOString() });
    const operationOf = (answer) => expectStatus(answer, 202).headers.location.split('/').at(-1);
    const endOf = (api, id) => until(async () => {
        const { body } = await api.get(`/v1/operations/${id}`);
        return ['failed', 'succeeded'].includes(body.status) && body;
    }, 30_000, `${id} to end`);

    test('test_command_with_a_later_time_when_its_sender_is_revoked_then_never_takes_effect_and_says_so', async () => {
        const person = await aPerson();
        const id = operationOf(await person.api.post('/v1/projects', { name: 'Too late' }, later(3)));
        const spared = operationOf(await person.admin.post('/v1/projects', { name: 'Fine' }, later(3)));
        await revoke(person);
        const { status, problem } = await endOf(person.admin, id);
        assert.equal(status, 'failed');
        assert.deepEqual([problem.status, problem.type], [403, '/problems/revoked']);
        assert.equal((await endOf(person.admin, spared)).status, 'succeeded');
        const { body } = await person.admin.get('/v1/projects');
        assert.deepEqual(body.data.map(({ name }) => name), ['Fine']);
    });

    // → a function that runs the schedule, and says how that ended.
    const runner = (operator, path) => async () => {
        const count = (await operator.get(path)).body.runs;
        expectStatus(await operator.post(`${path}/run`), 202);
        return until(async () => {
            const { body } = await operator.get(path);
            return body.runs > count && ['failed', 'succeeded'].includes(body.last.outcome) && [body.last.outcome, body.last.error];
        }, 30_000, 'the run');
    };

    // Of a schedule in somebody's name two may be sent away: that person, and the operator who put it, who is of another company.
    for (const revoked of ['actor', 'operator'])
        test(`test_schedule_when_its_${revoked}_is_revoked_then_its_commands_are_refused_until_it_is_put_again`, async () => {
            const person = await aPerson(), boss = await aPerson('super_admin');
            const other = stack.client({ role: 'super_admin' });
            const schedule = { cron: '0 0 1 1 *', company: person.company, type: 'project.create', actor: person.who.user, body: { name: 'Again' } };
            const path = `/v1/admin/schedules/revoked-${randomUUID()}`;
            const run = runner(other, path);
            expectStatus(await boss.api.put(path, schedule), 201);
            assert.deepEqual(await run(), ['succeeded', null]);
            // The same user id in another company is somebody else.
            await revoke({ who: boss.who, admin: person.admin });
            await sleep(1000); // a revocation and what is done in the same second: the revocation wins
            assert.deepEqual(await run(), ['succeeded', null]);
            await revoke(revoked === 'actor' ? person : boss);
            assert.deepEqual(await run(), ['failed', 'revoked']);
            await sleep(1000);
            expectStatus(await other.put(path, schedule), 200);
            assert.deepEqual(await run(), ['succeeded', null]);
            expectStatus(await other.delete(path), 204);
        });

    // Both had a hand in the run: who asked for it, and who put the schedule.
    for (const gone of ['caller', 'putter'])
        test(`test_run_of_a_schedule_when_an_operator_asks_for_it_then_its_command_keeps_who_acted_and_the_revocation_of_the_${gone}_counts`, async () => {
            const person = await aPerson(), putter = await aPerson('super_admin'), caller = await aPerson('super_admin');
            const name = `asked-${randomUUID()}`, path = `/v1/admin/schedules/${name}`;
            const schedule = { cron: '0 0 1 1 *', company: person.company, type: 'project.create', actor: person.who.user, body: { name: 'Asked' } };
            expectStatus(await putter.api.put(path, schedule), 201);
            const described = new Described((await putter.api.get('/openapi.json')).body);
            let { api } = putter;
            const shown = async () => {
                const answer = await api.get(path);
                described.expect('getSchedule', answer);
                return answer.body;
            };
            assert.equal((await shown()).asked_by, null);
            // While the company is locked its command waits, and the caller is revoked.
            const held = stack.run(`BEGIN; SELECT FROM company_sequence WHERE company_id = '${person.company}' FOR UPDATE; SELECT pg_sleep(3600) /* ${name} */`)
                .catch(() => {});
            await until(async () => (await stack.query(`SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep%${name}%'
                AND pid <> pg_backend_pid()`)).length > 0, 10_000, 'the company to be locked');
            expectStatus(await caller.api.post(`${path}/run`), 202);
            const [row] = await until(async () => {
                const rows = await stack.query(`SELECT d.acted_by, d.acted_company, d.scheduled_by, d.scheduled_company FROM deferred AS d JOIN schedule AS s ON s.last_command = d.command_id
                    WHERE s.name = '${name}'`);
                return rows.length > 0 && rows;
            }, 30_000, 'the command to wait');
            assert.deepEqual([row.acted_by, row.acted_company], [caller.who.user, caller.company]);
            assert.deepEqual([row.scheduled_by, row.scheduled_company], [putter.who.user, putter.company]);
            await revoke(gone === 'caller' ? caller : putter);
            await stack.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep%${name}%' AND pid <> pg_backend_pid()`);
            await held;
            api = stack.client({ role: 'super_admin' });
            const { last, asked_by } = await until(async () => { const one = await shown(); return ['failed', 'succeeded'].includes(one.last.outcome) && one; }, 30_000, 'the run');
            assert.deepEqual([last.outcome, last.error, asked_by], ['failed', 'revoked', caller.who.user]);
            expectStatus(await stack.client({ role: 'super_admin' }).delete(path), 204);
        });

    test('test_replay_when_an_operator_asks_for_it_then_the_command_keeps_who_acted', async () => {
        const company = await stack.addCompany('Replaying');
        const api = stack.client({ company }), user = randomUUID();
        const trap = `trap_${company.replaceAll('-', '')}`;
        await stack.run(`CREATE FUNCTION ${trap}() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN IF NEW.company_id = '${company}' THEN RAISE EXCEPTION 'trapped'; END IF; RETURN NEW; END $$;
            CREATE TRIGGER ${trap} BEFORE INSERT ON project FOR EACH ROW EXECUTE FUNCTION ${trap}()`);
        expectStatus(await api.post('/v1/projects', { name: 'Trapped' }), 500);
        const letter = async () => (await stack.query(`SELECT id, acted_by, acted_company, acted_at, jsonb_array_length(history) AS deaths,
            is_replaying, scheduled_by FROM dead_letter WHERE company_id = '${company}'`))[0];
        const author = randomUUID();
        await stack.run(`UPDATE dead_letter SET scheduled_by = '${author}', scheduled_company = '${company}', scheduled_at = 1 WHERE company_id = '${company}'`);
        const { id, acted_by: nobody } = await letter();
        assert.equal(nobody, null);
        const operator = stack.client({ role: 'super_admin', user });
        const asked = nowS();
        let deaths = 0;
        for (const ask of [() => operator.post(`/v1/admin/dead-letters/${id}/replay`), () => operator.post('/v1/admin/dead-letters/replay', { company })]) {
            await stack.run(`UPDATE dead_letter SET acted_by = NULL WHERE id = '${id}'`);
            expectStatus(await ask(), 200);
            deaths += 1;
            const again = await until(async () => { const row = await letter(); return row.deaths === deaths && !row.is_replaying && row; }, 20_000, 'it to be back');
            assert.deepEqual([again.acted_by, again.acted_company, again.scheduled_by], [user, stack.company, author]);
            assert.ok(Number(again.acted_at) >= asked);
        }
        await stack.run(`DROP FUNCTION ${trap}() CASCADE`);
        expectStatus(await operator.delete(`/v1/admin/dead-letters/${id}`), 204);
    });
});

describe('cancelling', () => {
    const later = { 'cortex-run-at': new Date(Date.now() + 3600_000).toISOString() };
    const waiting = async (answer) => {
        const { location } = expectStatus(answer, 202).headers;
        await until(async () => (await stack.query(`SELECT 1 FROM deferred WHERE command_id = '${location.split('/').at(-1)}'`)).length, 15_000, location);
        return location;
    };

    test('test_cancel_when_the_role_may_not_send_what_is_cancelled_then_403_and_it_still_waits', async () => {
        const company = await stack.addCompany('Cancelling');
        const as = (role) => stack.client({ company, role });
        const admin = as('company_admin');
        const project = await waiting(await admin.post('/v1/projects', { name: 'Later' }, later));
        const revocation = await waiting(await admin.post(revocations, { user_id: randomUUID() }, later));
        for (const [what, role] of [[project, 'supervisor'], [project, 'operative'], [revocation, 'project_manager'], [revocation, 'developer']]) {
            expectProblem(await as(role).delete(what), 403, 'forbidden');
            assert.equal((await admin.get(what)).body.status, 'scheduled');
        }
        expectStatus(await as('project_manager').delete(project), 202); // whoever may send it without a condition may cancel it
        expectStatus(await admin.delete(revocation), 202);
        const { id } = (await admin.post('/v1/projects', { name: 'Now' })).body;
        const sender = as('supervisor'), task = await waiting(await sender.post(`/v1/projects/${id}/tasks`, { title: 'Later' }, later));
        for (const role of ['operative', 'supervisor']) expectProblem(await as(role).delete(task), 403, 'forbidden');
        expectStatus(await sender.delete(task), 202); // and everybody their own
    });
});

describe('the list of what waits', () => {
    const later = { 'cortex-run-at': new Date(Date.now() + 3600_000).toISOString() };
    const idOf = (answer) => expectStatus(answer, 202).headers.location.split('/').at(-1);

    test('test_operations_when_they_wait_then_listed_to_their_sender_and_to_admins_page_by_page', async () => {
        const person = await aPerson();
        const admin = person.admin, other = stack.client({ company: person.company, role: 'project_manager' });
        const described = new Described((await admin.get('/openapi.json')).body);
        const own = [], others = [];
        for (let i = 0; i < 3; i += 1) own.push(idOf(await person.api.post('/v1/projects', { name: `P${i}` }, later)));
        others.push(idOf(await other.post('/v1/projects', { name: 'Other' }, later)));
        await until(async () => (await admin.get('/v1/operations?status=scheduled')).body.data.length === 4, 15_000, 'all to wait');
        const ids = ({ body }) => body.data.map(({ id }) => id);
        const answer = await person.api.get('/v1/operations?status=scheduled');
        described.expect('listOperations', answer);
        assert.deepEqual(ids(answer), [...own].sort());
        assert.deepEqual(answer.body.data[0], { ...answer.body.data[0], status: 'scheduled', type: 'project.create', actor: person.who.user, waits_for: 'schedule' });
        assert.equal(Date.parse(answer.body.data[0].due_at), Date.parse(later['cortex-run-at']));
        assert.deepEqual(ids(await other.get('/v1/operations')), others);
        assert.deepEqual(ids(await other.get(`/v1/operations?actor=${person.who.user}`)), others); // its own, whatever it asks for
        assert.deepEqual(ids(await admin.get(`/v1/operations?actor=${person.who.user}`)), [...own].sort());
        assert.deepEqual(ids(await admin.get('/v1/operations?status=pending')), []);
        assert.deepEqual(ids(await stack.client({ company: await stack.addCompany() }).get('/v1/operations')), []);
        const seen = [];
        for (let path = '/v1/operations?status=scheduled&limit=2'; path;) {
            const page = expectStatus(await admin.get(path), 200);
            seen.push(...ids(page));
            path = page.body.next && `/v1/operations?status=scheduled&limit=2&after=${page.body.next}`;
        }
        assert.deepEqual(seen, [...own, ...others].sort());
        for (const query of ['status=running', 'status=', 'actor=x', 'limit=0', 'nothing=1']) expectStatus(await admin.get(`/v1/operations?${query}`), 400);
    });
});

describe('acts of operators', () => {
    test('test_act_when_done_by_an_operator_then_recorded_with_who_and_in_whose_name', async () => {
        const person = await aPerson();
        const who = { role: 'super_admin', user: randomUUID() };
        const operator = stack.client(who);
        const described = new Described((await operator.get('/openapi.json')).body);
        const name = `acts-${randomUUID()}`, path = `/v1/admin/schedules/${name}`, correlation = `test-${randomUUID().slice(0, 20)}`;
        const schedule = { cron: '0 0 1 1 *', company: person.company, type: 'project.create', actor: person.who.user, body: { name: 'secret' } };
        expectStatus(await operator.put(path, schedule, { 'x-request-id': correlation }), 201);
        expectStatus(await operator.put(path, { ...schedule, company: randomUUID() }), 422); // a worker refuses it
        expectStatus(await operator.post(`${path}/run`), 202);
        expectStatus(await operator.delete(path), 204);
        expectStatus(await operator.delete(path), 404);
        expectStatus(await operator.post(`/v1/admin/dead-letters/${randomUUID()}/replay`), 404);
        expectStatus(await operator.delete(`/v1/admin/dead-letters?company=${person.company}`), 200);
        expectStatus(await operator.put('/v1/admin/pools/projects', { wanted: 1 }), 200);
        expectStatus(await operator.put('/v1/admin/pools/nothing', { wanted: 1 }), 404);
        expectCreated(await operator.post(revocations, { user_id: person.who.user }), revocations);
        const acts = await until(async () => {
            const answer = await operator.get(`/v1/admin/acts?actor=${who.user}`);
            described.expect('listActs', answer);
            return answer.body.data.length === 10 && answer.body.data.every(({ outcome }) => outcome !== 'begun') && answer.body.data;
        }, 15_000, 'ten acts');
        const by = Object.groupBy ? Object.groupBy(acts, ({ act }) => act) : acts.reduce((all, one) => ({ ...all, [one.act]: [...(all[one.act] ?? []), one] }), {});
        assert.deepEqual(by['schedule.put'].map(({ outcome, on_behalf_of }) => [outcome, on_behalf_of]),
            [['ok', person.who.user], ['validation', person.who.user]]);
        assert.deepEqual([by['schedule.put'][0].subject, by['schedule.put'][0].correlation_id, by['schedule.put'][0].company], [name, correlation, stack.company]);
        assert.ok(!JSON.stringify(acts).includes('secret'));
        assert.deepEqual(by['schedule.run'].map(({ outcome, on_behalf_of }) => [outcome, on_behalf_of]), [['ok', person.who.user]]);
        assert.deepEqual(by['schedule.delete'].map(({ outcome, on_behalf_of }) => [outcome, on_behalf_of]), [['ok', person.who.user], ['not-found', null]]);
        assert.deepEqual(by['dead.replay'].map(({ outcome }) => outcome), ['not-found']);
        assert.deepEqual(by['dead.drop_many'].map(({ outcome, request }) => [outcome, request.company]), [['ok', person.company]]);
        assert.deepEqual(by['pool.resize'].map(({ outcome, subject, request }) => [outcome, subject, request]), [['ok', 'projects', { wanted: 1 }], ['unroutable', 'nothing', { wanted: 1 }]]);
        assert.deepEqual(by['revocation.create'].map(({ outcome, subject }) => [outcome, subject]), [['ok', person.who.user]]);
        const inTheirName = (await operator.get(`/v1/admin/acts?on_behalf_of=${person.who.user}&limit=2`)).body;
        assert.equal(inTheirName.data.length, 2);
        assert.ok(inTheirName.next);
        for (const role of ['company_admin', 'project_manager']) expectProblem(await stack.client({ role }).get('/v1/admin/acts'), 403, 'forbidden');
    });

    // As a gateway sends it: under the same correlation id and timestamp when it sends it again.
    const asker = async (t) => {
        const connection = await amqp.connect(stack.amqpUrl);
        t.after(() => connection.close());
        const channel = await connection.createConfirmChannel();
        const { queue } = await channel.assertQueue('', { exclusive: true });
        const key = `reply.${randomUUID()}`, replies = [], actor = randomUUID();
        await channel.bindQueue(queue, 'events', key);
        await channel.consume(queue, (message) => replies.push({
            correlation: message.properties.correlationId, status: message.properties.headers.status,
            httpStatus: message.properties.headers['http-status'], body: message.content.toString(),
        }), { noAck: true });
        const acts = async () => (await stack.client({ role: 'super_admin' }).get(`/v1/admin/acts?actor=${actor}`)).body.data;
        const ask = async (correlationId, type, request, timestamp = nowS()) => {
            channel.publish('control', 'admin.projects', Buffer.from(JSON.stringify(request)),
                { correlationId, replyTo: key, type, timestamp, mandatory: true, contentType: 'application/json', headers: { actor, company: stack.company } });
            await channel.waitForConfirms();
        };
        const answersTo = (correlation) => replies.filter((one) => one.correlation === correlation).map(({ status, httpStatus, body }) => ({ status, httpStatus, body }));
        return { ask, answersTo, acts };
    };

    test('test_request_when_it_comes_twice_then_is_carried_out_once_and_answered_the_same', async (t) => {
        const operator = stack.client({ role: 'super_admin' });
        const { ask, answersTo, acts } = await asker(t);
        const expectTwoAlike = async (correlation, status, httpStatus) => {
            const [first, second] = await until(() => answersTo(correlation).length === 2 && answersTo(correlation), 15_000, 'two answers');
            assert.deepEqual(second, first);
            assert.deepEqual([first.status, first.httpStatus], [status, httpStatus]);
        };
        const sent = nowS();
        for (const [name, pause] of [['after the answer', true], ['at once', false]]) {
            const schedule = `twice-${randomUUID()}`;
            expectStatus(await operator.put(`/v1/admin/schedules/${schedule}`, { cron: '0 0 1 1 *', company: stack.company, type: 'project.create', body: { name } }), 201);
            await ask(name, 'schedule.delete', { subject: schedule, body: {} }, sent);
            if (pause) await until(() => answersTo(name).length === 1, 15_000, 'the first answer');
            await ask(name, 'schedule.delete', { subject: schedule, body: {} }, sent);
            await expectTwoAlike(name, 'ok', 204);
        }
        for (let i = 0; i < 2; i++) await ask('a refusal', 'dead.replay', { subject: randomUUID(), body: {} }, sent);
        await expectTwoAlike('a refusal', 'not-found', 404);
        assert.deepEqual((await acts()).map(({ act, outcome }) => [act, outcome]),
            [['schedule.delete', 'ok'], ['schedule.delete', 'ok'], ['dead.replay', 'not-found']]);
    });

    test('test_request_when_it_was_begun_and_nobody_said_how_it_ended_then_the_answer_says_so', async (t) => {
        const { ask, answersTo, acts } = await asker(t);
        const sent = nowS(), request = { subject: `never-${randomUUID()}`, body: {} };
        await ask('begun', 'schedule.delete', request, sent);
        await until(() => answersTo('begun').length === 1, 15_000, 'an answer');
        const [{ id }] = await acts();
        await stack.run(`UPDATE operator_act SET outcome = 'begun', http_status = NULL, answer = NULL WHERE id = '${id}'`);
        await ask('begun', 'schedule.delete', request, sent);
        const [, answer] = await until(() => answersTo('begun').length === 2 && answersTo('begun'), 15_000, 'another answer');
        assert.equal(answer.status, 'timeout');
        assert.match(answer.body, /has not said how it ended/);
        assert.equal((await acts())[0].outcome, 'begun');
    });

    test('test_request_when_the_gateway_loses_the_connection_for_replies_then_is_sent_again_and_counts_once', async (t) => {
        const who = { role: 'super_admin', user: randomUUID() }, operator = stack.client(who);
        const schedule = `lost-${randomUUID()}`, path = `/v1/admin/schedules/${schedule}`;
        expectStatus(await operator.put(path, { cron: '0 0 1 1 *', company: stack.company, type: 'project.create', body: { name: 'x' } }), 201);
        const [{ workers }] = (await operator.get('/v1/admin/pools/projects')).body.managers;
        for (const { pid } of workers) process.kill(pid, 'SIGSTOP');
        const goOn = () => { for (const { pid } of workers) process.kill(pid, 'SIGCONT'); };
        t.after(goOn);
        const waiting = async () => (await stack.queues()).get('control.projects.requests');
        const gone = send(stack.url + path, { method: 'DELETE', headers: { authorization: `Bearer ${operator.token}` }, timeout: 4 * PATIENCE_MS });
        await until(async () => { const queue = await waiting(); return queue.ready + queue.unacknowledged >= 1; }, PATIENCE_MS, 'the request to wait');
        await sleep(1100); // into another second
        const connections = (await broker.ctl('list_connections', '--no-table-headers', 'pid', 'client_properties', 'vhost')).split('\n')
            .filter((line) => line.includes('gateway events') && line.includes(stack.name));
        assert.ok(connections.length > 0);
        for (const line of connections) await broker.ctl('close_connection', line.split('\t')[0], 'for a test');
        await until(async () => { const queue = await waiting(); return queue.ready + queue.unacknowledged >= 2; }, PATIENCE_MS, 'the request to be sent again');
        goOn();
        expectStatus(await gone, 204);
        await until(async () => { const queue = await waiting(); return queue.ready + queue.unacknowledged === 0; }, PATIENCE_MS, 'both to be taken');
        const acts = (await operator.get(`/v1/admin/acts?actor=${who.user}&act=schedule.delete`)).body.data;
        assert.deepEqual(acts.map(({ outcome }) => outcome), ['ok']);
    });
});

describe('roles', () => {
    test('test_role_when_nobody_defines_it_then_authenticated_and_403_at_every_door', async () => {
        for (const role of ['nobody', 'Super_Admin', 'super_admin ', 'super_admi']) {
            const api = stack.client({ role });
            for (const path of ['/v1/projects', '/v1/events', '/v1/exports', `/v1/operations/${randomUUID()}`, '/v1/admin/pools', revocations])
                expectProblem(await api.get(path), 403, 'forbidden');
            expectProblem(await api.post('/v1/projects', { name: 'x' }), 403, 'forbidden');
            expectStatus(await api.get('/healthz'), 200);
            const speaker = await Speaker.open(stack);
            assert.equal((await speaker.ask({ id: 1, connect: { token: stack.token({ role }) } })).error.code, 103);
            speaker.disconnect();
        }
    });

    test('test_role_when_a_nul_follows_an_operators_then_401_at_every_door', async () => {
        for (const role of ['super_admin\0', 'super_admin\0x', '\0super_admin', 'company_admin\0']) {
            const api = stack.client({ role });
            for (const path of ['/v1/projects', '/v1/admin/pools', '/v1/events']) expectProblem(await api.get(path), 401, 'unauthenticated');
            const speaker = await Speaker.open(stack);
            speaker.say({ id: 1, connect: { token: stack.token({ role }) } });
            assert.equal((await speaker.closed).code, 3500);
        }
    });
});

claims(shared);
keys(shared);
starting(shared);
