// Schedules as operators keep them, and what they bring about.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';

import { expectConflict, expectProblem, expectStatus, newProject, pointersOf } from '../api/expect.mjs';
import { Described } from '../../lib/described.mjs';
import { until } from '../../lib/process.mjs';

const path = (name) => `/v1/admin/schedules/${name}`;
const everySecond = '* * * * * *';
const rarely = '0 4 1 1 *';

export function admin(shared) {
    const operatorOf = ({ stack }) => stack.client({ role: 'super_admin' });

    async function put(name, schedule, status = 201) {
        return expectStatus(await operatorOf(shared).put(path(name), schedule), status).body;
    }
    const show = async (name) => expectStatus(await operatorOf(shared).get(path(name)), 200).body;
    const drop = async (name) => expectStatus(await operatorOf(shared).delete(path(name)), 204);

    describe('schedules', () => {
        test('test_schedule_when_its_zone_or_expression_is_not_known_any_more_then_operators_see_it_and_the_log_says_so_once', async () => {
            const { stack } = shared;
            const company = await stack.addCompany();
            const spoilt = { zone: "timezone = 'Nowhere/City'", cron: "cron = 'now and then'" };
            for (const [kind, change] of Object.entries(spoilt)) {
                const name = `spoilt-${kind}`, error = { zone: 'schedule-zone-unknown', cron: 'schedule-cron-unreadable' }[kind];
                await put(name, { cron: '* * * * * *', timezone: 'US/Eastern', company, type: 'project.create', body: { name: 'x' } });
                await until(async () => (await show(name)).runs > 0, 20_000, 'a zone by its old name to run');
                await stack.run(`UPDATE schedule SET ${change}, version = version + 1 WHERE name = '${name}'`);
                await until(async () => (await show(name)).error === error, 20_000, `${name} to say that it cannot run`);
                const listed = (await operatorOf(shared).get('/v1/admin/schedules')).body.data.find((one) => one.name === name);
                assert.equal(listed.error, error);
                // Looked at again, at once instead of after ten seconds: nothing new is said.
                for (let i = 0; i < 2; i += 1) {
                    await stack.run(`UPDATE schedule SET step_at = now() WHERE name = '${name}'`);
                    await until(async () => (await stack.query(`SELECT step_at > now() AS rests FROM schedule WHERE name = '${name}'`))[0].rests, 20_000, 'another look');
                }
                const said = stack.worker.tail(10_000).split('\n').filter((line) => line.includes('"schedule.cannot_run"') && line.includes(name));
                assert.equal(said.length, 1);
                await put(name, { cron: '* * * * * *', company, type: 'project.create', body: { name: 'x' } }, 200);
                await until(async () => (await show(name)).error === null, 20_000, `${name} to run again`);
                await drop(name);
            }
        });

        test('test_preconditions_then_no_operator_overwrites_what_another_has_changed', async () => {
            const api = operatorOf(shared);
            const company = await shared.stack.addCompany();
            const schedule = { cron: rarely, company, type: 'project.create', body: { name: 'x' } };
            const name = `guarded-${randomUUID().slice(0, 8)}`;
            expectProblem(await api.put(path(name), schedule, { 'if-match': '*' }), 412, 'version-conflict');
            const at_once = await Promise.all([1, 2, 3, 4].map(() => api.put(path(name), schedule, { 'if-none-match': '*' })));
            assert.deepEqual(at_once.map(({ status }) => status).sort(), [201, 412, 412, 412], 'one of four creates it');

            const { etag } = expectStatus(await api.get(path(name)), 200).headers;
            assert.match(etag, /^"1\./);
            expectStatus(await api.get(path(name), { 'if-none-match': etag }), 304);
            const changed = expectStatus(await api.put(path(name), { ...schedule, cron: '0 5 1 1 *' }, { 'if-match': ['"nope"', etag] }), 200);
            assert.equal(changed.headers.etag, '"2"');
            for (const stale of [etag, 'W/"2"', '"nope"', '"1", "3"'])
                for (const [method, at] of [['PUT', path(name)], ['DELETE', path(name)], ['POST', `${path(name)}/run`]])
                    await expectConflict(api.call(method, at, { body: method === 'PUT' ? schedule : undefined, headers: { 'if-match': stale } }), '"2"');
            await expectConflict(api.delete(path(name), { 'if-none-match': '*' }), '"2"');
            expectProblem(await api.delete(path(name), { 'if-match': '2' }), 400, 'bad-request');
            assert.equal((await show(name)).cron, '0 5 1 1 *');
            expectStatus(await api.post(`${path(name)}/run`, undefined, { 'if-match': '"2"' }), 202);
            expectStatus(await api.delete(path(name), { 'if-match': '"2", "9"' }), 204);
            expectProblem(await api.delete(path(name), { 'if-none-match': '*' }), 404, 'not-found');
        });

        test('test_put_then_it_is_shown_with_its_next_time_and_put_again_replaces_it', async () => {
            const company = await shared.stack.addCompany();
            const schedule = { cron: '30 6 * * mon-fri', timezone: 'Europe/Berlin', company, type: 'project.create', body: { name: 'Weekly' } };
            const name = `made-${randomUUID().slice(0, 8)}`;
            const made = await put(name, schedule);
            const shown = await show(name);
            assert.deepEqual([shown.cron, shown.timezone, shown.company, shown.type, shown.enabled], ['30 6 * * mon-fri', 'Europe/Berlin', company, 'project.create', true]);
            assert.deepEqual(shown.body, { name: 'Weekly' });
            assert.equal(shown.last, null);
            assert.equal(shown.next_at, made.next_at);
            const local = new Date(shown.next_at).toLocaleString('en-GB', { timeZone: 'Europe/Berlin', weekday: 'short', hour: '2-digit', minute: '2-digit' });
            assert.match(local, /^(Mon|Tue|Wed|Thu|Fri),? 06:30$/);

            assert.equal((await put(name, { ...schedule, enabled: false }, 200)).next_at, null);
            const again = await put(name, { ...schedule, body: { name: 'Daily' } }, 200);
            assert.equal(again.next_at, made.next_at);
            assert.deepEqual((await show(name)).body, { name: 'Daily' });
            await drop(name);
            expectProblem(await operatorOf(shared).get(path(name)), 404, 'not-found');
            expectProblem(await operatorOf(shared).delete(path(name)), 404, 'not-found');
        });

        test('test_put_that_makes_no_sense_then_422_names_each_field_and_what_is_wrong', async () => {
            const { stack } = shared;
            const company = await stack.addCompany();
            const good = { cron: rarely, company, type: 'project.create', body: { name: 'x' } };
            const cases = [
                [{ ...good, cron: '61 * * * *' }, ['/cron'], /minute: 61 is not within 0 to 59/],
                [{ ...good, cron: '0 0 30 2 *' }, ['/cron'], /none of the months has such a day/],
                [{ ...good, cron: 'now and then' }, ['/cron'], /needs five fields/],
                [{ ...good, timezone: 'Europe/Atlantis' }, ['/timezone'], /not a time zone/],
                [{ ...good, cron: '*', timezone: 'Mars' }, ['/cron', '/timezone'], /./],
                [{ ...good, type: 'project.explode' }, ['/type'], /not a command/],
                [{ ...good, type: 'projects' }, ['/type'], /not a command/],
                [{ ...good, type: 'export.update', subject: randomUUID(), body: {} }, ['/type'], /not a command that a schedule can send/],
                [{ ...good, body: { title: 'x' } }, ['/body/name', '/body/title'], /./],
                [{ ...good, body: 'x' }, ['/body'], /object/],
                [{ ...good, subject: randomUUID() }, ['/subject'], /no meaning/],
                [{ ...good, type: 'task.create', body: { title: 'x' } }, ['/parent'], /needed/],
                [{ ...good, type: 'project.delete' }, ['/body', '/subject'], /./],
                [{ ...good, company: randomUUID() }, ['/company'], /no such company/],
                [{ cron: rarely, type: 'inbox.explode' }, ['/type'], /no such work/],
                [{ cron: rarely, type: 'inbox.retention', body: {}, subject: randomUUID() }, ['/body', '/subject'], /no meaning/],
                [{ type: 'inbox.retention', often: true }, ['/cron', '/often'], /./],
            ];
            for (const [schedule, pointers, text] of cases) {
                const answer = expectProblem(await operatorOf(shared).put(path('senseless'), schedule), 422, 'validation');
                assert.deepEqual(pointersOf(answer), pointers, JSON.stringify(schedule));
                assert.match(answer.body.errors[0].detail, text);
            }
            expectProblem(await operatorOf(shared).get(path('senseless')), 404, 'not-found');
        });

        test('test_schedule_of_a_command_then_each_time_has_one_and_the_last_outcome_is_shown', async () => {
            const { stack } = shared;
            const company = await stack.addCompany();
            await put('each-second', { cron: everySecond, company, type: 'project.create', body: { name: 'Again' } });
            await until(async () => (await show('each-second')).runs >= 4, 20_000, 'four runs');
            await put('each-second', { cron: everySecond, company, type: 'project.create', body: { name: 'Again' }, enabled: false }, 200);
            const shown = await until(async () => {
                const schedule = await show('each-second');
                return schedule.last.outcome === 'succeeded' && schedule;
            }, 20_000, 'the last to succeed');
            await drop('each-second');
            const events = await until(async () => {
                const rows = await stack.query(`SELECT command_id FROM events WHERE company_id = '${company}'`);
                return rows.length === shown.runs && rows;
            }, 20_000, 'an event for each run');
            assert.ok(events.some((event) => event.command_id === shown.last.command));
            const { data } = expectStatus(await stack.client({ company }).get('/v1/projects?limit=200'), 200).body;
            assert.equal(data.length, shown.runs);
        });

        test('test_command_that_is_refused_then_the_outcome_says_why', async () => {
            const { stack } = shared;
            const company = await stack.addCompany();
            const project = await newProject(stack.client({ company }));
            await put('twice-gone', { cron: rarely, company, type: 'project.delete', subject: project.id });
            for (const outcome of ['succeeded', 'failed']) {
                expectStatus(await operatorOf(shared).post(`${path('twice-gone')}/run`), 202);
                const { last } = await until(async () => {
                    const schedule = await show('twice-gone');
                    return schedule.last?.outcome === outcome && schedule;
                }, 20_000, `it to have ${outcome}`);
                assert.equal(last.error, outcome === 'failed' ? 'not-found' : null);
            }
            assert.equal((await show('twice-gone')).runs, 2);
            await drop('twice-gone');
            expectProblem(await operatorOf(shared).post(`${path('twice-gone')}/run`), 404, 'not-found');
        });

        test('test_answers_about_schedules_then_they_are_what_the_document_says', async () => {
            const operator = operatorOf(shared);
            const described = new Described(expectStatus(await operator.get('/openapi.json'), 200).body);
            const company = await shared.stack.addCompany();
            const name = `described-${randomUUID().slice(0, 8)}`;
            const schedule = { cron: rarely, company, type: 'project.create', body: { name: 'Described' } };
            await put(name, schedule);
            described.expect('getSchedule', await operator.get(path(name)));
            described.expect('putSchedule', await operator.put(path(name), schedule));
            described.expect('runSchedule', await operator.post(`${path(name)}/run`));
            await until(async () => (await show(name)).last?.outcome === 'succeeded', 20_000, 'the run');
            described.expect('getSchedule', await operator.get(path(name)));
            described.expect('listSchedules', await operator.get('/v1/admin/schedules?limit=1000'));
            await drop(name);
        });

        test('test_work_of_the_system_then_it_is_listed_and_run_when_asked', async () => {
            const { stack } = shared;
            const operator = operatorOf(shared);
            const names = [];
            for (let next = '/v1/admin/schedules?limit=2'; next;) {
                const answer = expectStatus(await operator.get(next), 200);
                assert.ok(answer.body.data.length <= 2);
                names.push(...answer.body.data.map((schedule) => schedule.name));
                next = answer.headers.link?.match(/<([^>]*)>; rel="next"/)?.[1];
            }
            for (const name of ['events.partitions', 'events.retention', 'inbox.retention']) assert.ok(names.includes(name), name);
            await stack.run(`INSERT INTO inbox (company_id, command_id, fingerprint, status, http_status, at)
                SELECT '${stack.company}', gen_random_uuid(), 0, 'not-found', 404, now() - interval '30 days' FROM generate_series(1, 700)`);
            expectStatus(await operator.post(`${path('inbox.retention')}/run`), 202);
            await until(async () => {
                const [{ count }] = await stack.query("SELECT count(*) FROM inbox WHERE at < now() - interval '29 days'");
                const { last } = await show('inbox.retention');
                return count === 0 && last.outcome === 'succeeded' && last.ended_at;
            }, 20_000, 'what is old to be gone');
        });

        test('test_schedules_with_any_other_role_then_403', async () => {
            for (const role of ['company_admin', 'project_manager']) {
                const client = shared.stack.client({ role });
                expectProblem(await client.get('/v1/admin/schedules'), 403, 'forbidden');
                expectProblem(await client.put(path('mine'), { cron: rarely, type: 'inbox.retention' }), 403, 'forbidden');
                expectProblem(await client.post(`${path('inbox.retention')}/run`), 403, 'forbidden');
            }
        });
    });
}
