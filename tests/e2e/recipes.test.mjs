// The recipes of CONTRIBUTING.md, followed literally in a checkout of its own, one after the other: nothing is missing, and what they make
// works. It is built as `up` builds it, but without optimization, which takes a third of the time.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';

import { Checkout } from '../lib/checkout.mjs';
import { applyBlock, recipeOf } from '../lib/recipes.mjs';
import { database, ensureServers, root, servers, state } from '../lib/servers.mjs';

const run = promisify(execFile);
const SOURCES = ['.clang-format', 'CMakeLists.txt', 'CMakePresets.json', 'CONTRIBUTING.md', 'common', 'cortex', 'deploy', 'gateway',
    'schemas', 'tests', 'workers'];

describe('the recipes of CONTRIBUTING.md', () => {
    let checkout, environment, changed = [];
    const at = (...path) => join(checkout.folder, ...path);
    const inCheckout = (program, ...args) => run(program, args, { cwd: checkout.folder, env: environment, maxBuffer: 64 << 20 })
        .catch((error) => assert.fail(`${program} ${args.join(' ')}: ${error.stdout}${error.stderr}`));
    const git = (...args) => inCheckout('git', '-c', 'user.name=newcomer', '-c', 'user.email=newcomer@example.com', ...args);
    const commit = async () => {
        await git('add', '-A');
        await git('commit', '--quiet', '-m', 'work');
    };
    // As if it were on the main branch of origin now.
    const release = async () => {
        await commit();
        await git('update-ref', 'refs/remotes/origin/HEAD', 'HEAD');
    };
    const cortex = async (...args) => {
        const { status, stdout, stderr } = await checkout.try(args, environment);
        assert.equal(status, 0, `./cortex ${args.join(' ')}: ${stderr}${stdout}`);
        return stdout;
    };

    // `./cortex test NAME` would build and start everything once more.
    async function runTest(name) {
        if (name.includes('/')) {
            await inCheckout('ninja', '-C', 'build/release', 'cortex-openapi');
            const own = { ...environment, CORTEX_BUILD: at('build/release'), CORTEX_STATE: state };
            await run('node', [`tests/${name}.test.mjs`], { cwd: checkout.folder, env: own })
                .catch((error) => assert.fail(`${name}: ${error.stdout}${error.stderr}`));
            return;
        }
        await inCheckout('ninja', '-C', 'build/release', name);
        const base = `recipes_${name}_${process.pid}`;
        await servers(['createdb', base]);
        const path = (await inCheckout('find', 'build/release/tests', '-name', name, '-type', 'f')).stdout.trim();
        await run(at(path), [], { cwd: checkout.folder, env: { ...environment, CORTEX_TEST_DATABASE_URL: await database.url('cortex', base) } })
            .catch((error) => assert.fail(`${name}: ${error.stdout}${error.stderr}`));
    }

    async function runCommand(line) {
        const [program, command, ...args] = line.split(' ');
        assert.equal(program, './cortex', line);
        if (command !== 'test') await cortex(command, ...args);
        else for (const name of args) await runTest(name);
    }

    async function follow(title) {
        const blocks = recipeOf(readFileSync(at('CONTRIBUTING.md'), 'utf8'), title);
        assert.ok(blocks.length > 2, title);
        for (const block of blocks) {
            if (block.kind === 'diff') changed.push(applyBlock(checkout.folder, block));
            else for (const line of block.lines) await runCommand(line);
        }
    }

    const lock = () => readFileSync(at('schemas/messages/fields.lock'), 'utf8');
    const api = async (method, path, body, headers) => checkout.request(method, path, body, headers);
    const created = async (path, body) => {
        const { status, text, body: entity } = await api('POST', path, body);
        assert.equal(status, 201, text);
        return entity;
    };
    const refused = async (wanted, pointer, [method, path, body, headers]) => {
        const { status, text, body: problem } = await api(method, path, body, headers);
        assert.equal(status, wanted, text);
        if (pointer) assert.ok(problem.errors.some((error) => error.pointer === pointer), text);
        return problem;
    };
    const listed = async (path) => (await api('GET', path)).body.data.map(({ id }) => id);

    before(async () => {
        await ensureServers();
        checkout = new Checkout('recipes', { files: SOURCES, programs: null });
        const cache = await run('ccache', ['--version']).then(() => ({ CMAKE_C_COMPILER_LAUNCHER: 'ccache', CCACHE_NOHASHDIR: '1',
            CCACHE_BASEDIR: checkout.folder }), () => ({}));
        environment = { ...process.env, ...cache };
        ['CORTEX_STATE', 'CORTEX_BUILD'].forEach((name) => delete environment[name]);
        symlinkSync(join(root, 'tests/node_modules'), at('tests/node_modules'));
        writeFileSync(at('.gitignore'), '/build/\n/.cortex/\nnode_modules\n');
        await git('init', '--quiet');
        await release();
        await inCheckout('cmake', '--preset', 'release', '-DCMAKE_BUILD_TYPE=Debug');
        await inCheckout('ninja', '-C', 'build/release', 'cortex-gateway', 'cortex-worker', 'cortex-token', 'cortex-watch');
    });
    after(() => checkout?.stop());

    test('test_field_when_the_recipe_is_followed_then_it_is_checked_stored_shown_filtered_and_told', async () => {
        await follow('A field');
        assert.match(lock(), /^task crew_size 19 integer optional$/m);
        const project = await created('/v1/projects', { name: 'Recipes' });
        const tasks = `/v1/projects/${project.id}/tasks`;
        const task = await created(tasks, { title: 'Pour', crew_size: 12 });
        const other = await created(tasks, { title: 'Cure' });
        assert.deepEqual([task.crew_size, other.crew_size], [12, null]);
        await refused(422, '/crew_size', ['POST', tasks, { title: 'Pour', crew_size: 0 }]);
        assert.deepEqual(await listed(`${tasks}?crew_size=12`), [task.id]);
        const { body: events } = await api('GET', '/v1/events?after=0&limit=200');
        assert.ok(events.data.some(({ type, data }) => type === 'task.created' && data.id === task.id && data.crew_size === 12));
        const { body: document } = await api('GET', '/openapi.json');
        assert.equal(document.components.schemas.Task.properties.crew_size.maximum, 1000);
    });

    test('test_field_when_it_is_undone_before_it_is_released_then_its_x_id_is_free_and_afterwards_never', async () => {
        const path = at('schemas/messages/task.json');
        const [first, committed, locked] = [readFileSync(path, 'utf8'), 'crew_size": {"x-id": 19,', lock()];
        const with20 = (name, shape) => writeFileSync(path, first.replace(`"${committed}`, `"${name}": {"x-id": 20, ${shape}},\n    "${committed}`));
        const number = '"type": "integer", "minimum": 0, "maximum": 9, "default": 0';
        with20('undone', '"type": "boolean", "default": false');
        await cortex('schemas');
        assert.match(lock(), /^task undone 20 boolean optional$/m);
        await commit(); // on a branch of one's own
        with20('instead', number);
        assert.match(await cortex('schemas'), /^task\.undone is taken back \(x-id 20\)$/m);
        assert.match(lock(), /^task instead 20 integer optional$/m);
        await release();
        writeFileSync(path, first);
        assert.match(await cortex('schemas'), /^task\.instead is retired \(x-id 20\)$/m);
        with20('again', number);
        const { status, stderr } = await checkout.try(['schemas'], environment);
        assert.notEqual(status, 0);
        assert.match(stderr, /task\.again \(x-id 20\): this x-id (was|is) that of `instead`/);
        writeFileSync(path, first);
        await cortex('schemas', 'HEAD~2'); // where nothing but the first commit is released
        assert.equal(lock(), locked);
        await release();
    });

    test('test_resource_when_the_recipe_is_followed_then_it_can_be_made_changed_searched_and_deleted', async () => {
        await follow('A resource');
        const quarry = await created('/v1/suppliers', { name: 'Quarry', description: 'Stones of Großröhrsdorf', email: 'stone@example.com' });
        assert.deepEqual([quarry.status, quarry.version], ['proposed', 1]);
        const mill = await created('/v1/suppliers', { name: 'Mill' });
        assert.deepEqual(await listed('/v1/suppliers'), [quarry.id, mill.id]);
        assert.deepEqual(await listed('/v1/suppliers?text=GROSSR'), [quarry.id]);
        const one = `/v1/suppliers/${quarry.id}`;
        const patch = { 'content-type': 'application/merge-patch+json' };
        assert.equal((await api('PATCH', one, { status: 'approved' }, patch)).body.version, 2);
        assert.deepEqual(await listed('/v1/suppliers?status=approved'), [quarry.id]);
        await refused(409, null, ['PATCH', one, { status: 'proposed' }, patch]);
        await refused(422, '/email', ['POST', '/v1/suppliers', { name: 'X', email: 'nobody' }]);
        assert.equal((await api('DELETE', one)).status, 204);
        await refused(404, null, ['GET', one]);
        const { body: events } = await api('GET', '/v1/events?after=0&limit=200');
        assert.deepEqual(events.data.filter(({ id }) => id === quarry.id).map(({ type }) => type),
            ['supplier.created', 'supplier.updated', 'supplier.deleted']);
        const golden = ['create.json', 'create.msgpack.hex', 'update.json', 'update.msgpack.hex'];
        assert.deepEqual((await git('status', '--porcelain', '-uall', 'tests/contract/golden')).stdout.trim().split('\n'),
            golden.map((name) => `?? tests/contract/golden/supplier.${name}`));
    });

    test('test_rule_when_the_recipe_is_followed_then_who_breaks_it_is_told_where', async () => {
        await follow('A business rule');
        const { errors } = await refused(422, '/end_date', ['POST', '/v1/projects', { name: 'Large', budget: 2000000 }]);
        assert.match(errors[0].detail, /must be given for a budget of a million or more/);
        await created('/v1/projects', { name: 'Large', budget: 2000000, end_date: '2030-01-01' });
    });

    test('test_files_when_the_recipes_were_followed_then_lint_finds_them_in_order', async (t) => {
        const { stdout } = await run('clang-format', ['--version']).catch(() => ({ stdout: '' }));
        if (stdout.includes('version 14.'))
            await inCheckout('clang-format', '--dry-run', '--Werror', ...changed.filter((name) => /\.[ch]$/.test(name)));
        else
            t.diagnostic('no clang-format 14: the form of C files was not looked at');
        await inCheckout('bash', '-c', '. deploy/local/lib/common.sh && . deploy/local/lib/rooms.sh && cd "$ROOT" && rooms_check');
    });
});
