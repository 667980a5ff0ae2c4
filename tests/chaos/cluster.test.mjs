// Three nodes of RabbitMQ as one cluster, of each version that we run on. Each node is killed in turn while companies write and an operator
// looks: no company is refused for long, the operator is answered rightly, dead letters of the broker are taken, and nothing is lost.
//
// At full size 1,000 commands are sent in a second to the programs that users run; otherwise a tenth, to those with sanitizers.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import amqp from 'amqplib';

import { startCluster } from '../lib/cluster.mjs';
import { expectOneEffectEach, isDrained } from '../lib/effects.mjs';
import { sleep, until } from '../lib/process.mjs';
import { root } from '../lib/servers.mjs';
import { isWhole } from '../lib/size.mjs';
import { startStack } from '../lib/stack.mjs';
import { Operator, Writer } from './cluster/loads.mjs';

const NODES = [1, 2, 3], COMPANIES = 20, WORKERS = 2;
const WRITERS_EACH = isWhole ? 10 : 1; // of a company
const PER_SECOND = 5; // of one writer: 1,000/s, or 100/s in all
const DOWN_MS = isWhole ? 30_000 : 5000; // and until everybody was served again
const REFUSED_AT_MOST_MS = 5000, ANSWERED_WITHIN_MS = 10_000, PATIENCE_MS = 120_000;

for (const version of ['machine', 'debian13'])
    describe(`cluster of ${version}`, () => {
        let cluster, stack, writers, operator;

        // A machine that cannot have a root of Debian 13 says why, and goes without.
        const here = (name, prove) => test(name, (t) => (cluster.missing ? t.skip(cluster.missing) : prove(t)));

        const queues = async (node, ...columns) =>
            (await cluster.ctl(node, 'list_queues', '--vhost', stack.name, '--no-table-headers', 'name', ...columns))
                .trim().split('\n').filter(Boolean).map((line) => line.split('\t'));

        // Every queue that is replicated has all its members: the next node may go.
        const isWholeAgain = async () => {
            const members = (await queues(1, 'type', 'online')).filter(([, type]) => type === 'quorum');
            return members.length > 0 && members.every(([, , online]) => NODES.every((node) => online.includes(`cortex${node}@`)));
        };

        const deadLetters = async () => (await stack.query('SELECT count(*)::int AS count FROM dead_letter WHERE company_id IS NULL'))[0].count;

        // A message that cannot be read, right into the queue of the dead.
        async function bury(alive) {
            const connection = await amqp.connect(stack.amqpUrl.split(',')[alive - 1]);
            const channel = await connection.createConfirmChannel();
            channel.publish('dead', 'projects.lost', Buffer.from('not a command'), { persistent: true, mandatory: true });
            await channel.waitForConfirms();
            await connection.close();
        }

        before(async () => {
            cluster = await startCluster(version, NODES.length);
            if (cluster.missing) return;
            stack = await startStack(`cluster_${version}`, {
                ...(isWhole && { from: join(root, 'build', 'release') }),
                worker: { CORTEX_WORKER_PROCESSES: `${WORKERS}` },
                amqpUrl: async (vhost) => {
                    await cluster.vhost(vhost);
                    return cluster.url(vhost);
                },
            });
            stack.queues = async () => new Map((await queues(1, 'messages_ready', 'messages_unacknowledged'))
                .map(([name, ready, unacknowledged]) => [name, { ready: Number(ready), unacknowledged: Number(unacknowledged) }]));
            const companies = await stack.addCompanies(COMPANIES);
            writers = companies.flatMap((company) => Array.from({ length: WRITERS_EACH }, () => new Writer(stack, company, PER_SECOND)));
            operator = new Operator(stack, {
                'the list of pools': {
                    send: (api) => api.get('/v1/admin/pools'),
                    isRight: ({ data: [pool] }) => pool.wanted === WORKERS && pool.managers.length === 1,
                },
                'one pool': {
                    send: (api) => api.get('/v1/admin/pools/projects'),
                    isRight: (pool) => pool.wanted === WORKERS && pool.managers.length === 1,
                },
                'dead letters': {
                    send: (api) => api.post('/v1/admin/dead-letters/replay', { type: 'no.such' }),
                    isRight: ({ count }) => count === 0,
                },
            });
            await until(isWholeAgain, PATIENCE_MS, 'every queue to have a member on each node');
        });
        after(async () => {
            await Promise.all([...(writers ?? []), operator].map((one) => one?.going && one.stop()));
            await stack?.stop();
            await cluster?.remove();
        });

        const tell = (t, node, rate) => {
            const longest = (all) => Math.round(Math.max(...all.map(({ spells }) => spells.now())));
            const bad = new Map();
            for (const { spells } of writers) for (const [what, count] of spells.bad) bad.set(what, (bad.get(what) ?? 0) + count);
            t.diagnostic(`node ${node}: ${Math.round(rate)} commands/s so far; companies refused for ${longest(writers)} ms at most (${[...bad].map(([what, n]) => `${n} × ${what}`).join(', ') || 'never'}); ` +
                operator.tasks.map((task) => `${task.name} ${Math.round(task.spells.now())} ms (${[...task.spells.bad].map(([what, n]) => `${n} × ${what}`).join(', ') || 'never wrong'})`).join('; '));
        };

        here(`test_cluster_of_${version}_when_each_node_is_killed_in_turn_then_nobody_is_kept_out_and_nothing_is_lost`, async (t) => {
            for (const one of [...writers, operator]) one.start();
            await sleep(2000);
            const all = () => writers.reduce((sum, { accepted }) => sum + accepted.length, 0);
            const begun = performance.now(), before = all();
            for (const node of NODES) {
                const alive = NODES.find((other) => other !== node);
                const dead = await deadLetters();
                for (const { spells } of [...writers, ...operator.tasks]) spells.countAnew();
                await cluster.kill(node);
                const killed = performance.now();
                await sleep(DOWN_MS);
                await until(() => [...writers, ...operator.tasks].every(({ lastRight }) => lastRight > killed), ANSWERED_WITHIN_MS, 'everybody to be served')
                    .catch(() => {}); // how long each has waited is judged below
                tell(t, node, (all() - before) / ((performance.now() - begun) / 1000));
                for (const { spells, company } of writers) assert.ok(spells.now() <= REFUSED_AT_MOST_MS, `company ${company} was refused for ${spells.now()} ms`);
                for (const { spells, name } of operator.tasks) assert.ok(spells.now() <= ANSWERED_WITHIN_MS, `${name}: no right answer for ${spells.now()} ms`);
                await bury(alive);
                await until(async () => (await deadLetters()) === dead + 1, ANSWERED_WITHIN_MS, 'the dead letter to be taken');
                await cluster.up(node);
                await until(isWholeAgain, PATIENCE_MS, 'the node to be a member again');
            }
            await Promise.all([...writers, operator].map((one) => one.stop()));
            t.diagnostic(`${Math.round((all() - before) / ((performance.now() - begun) / 1000))} commands/s accepted, ${all()} in all`);
            await until(() => isDrained(stack), PATIENCE_MS, 'all commands to be run');
            for (const company of new Set(writers.map((one) => one.company)))
                await expectOneEffectEach(stack, company, writers.filter((one) => one.company === company).flatMap((one) => one.accepted));
        });

        here(`test_cluster_of_${version}_when_a_node_joins_then_queues_grow_to_it`, async () => {
            const NEW = 4;
            const haveIt = async () => {
                const members = (await queues(1, 'type', 'online')).filter(([, type]) => type === 'quorum');
                return members.length > 0 && members.filter(([, , online]) => online.includes(`cortex${NEW}@`)).length === members.length;
            };
            await cluster.up(NEW);
            assert.equal(await haveIt(), false);
            await cluster.grow();
            await until(haveIt, PATIENCE_MS, 'every queue to have a member on the new node');
        });
    });
