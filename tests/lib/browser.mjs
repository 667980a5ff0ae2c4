// A real browser, Chromium without a window, driven by its DevTools protocol over a pipe.
//
//     const browser = await Browser.start();
//     const page = await browser.open('http://localhost:8000/');
//     const title = await page.run((suffix) => document.title + suffix, '!');   // runs in the page; gives what its promise gives
//     await browser.stop();
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { signalChild, startChild } from './children.mjs';
import { until } from './process.mjs';

const RUN_MS = 120_000; // that a promise of the page may take

// What the page said is shown with its test's failure.
class Page {
    constructor(browser, session) {
        Object.assign(this, { browser, session, said: [] });
    }

    ask(method, params) {
        return this.browser.ask(method, params, this.session);
    }

    async run(what, ...args) {
        const expression = `(${what})(...${JSON.stringify(args)})`;
        const late = new AbortController();
        const limit = sleep(RUN_MS, undefined, { signal: late.signal, ref: false }).then(() => ({ exceptionDetails: { text: `nothing came of ${expression}` } }), () => {});
        const { result, exceptionDetails: thrown } = await Promise.race([limit, this.ask('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true })]);
        late.abort();
        if (thrown) throw new Error(`${thrown.exception?.description ?? thrown.text}\nthe page has said:\n${this.said.join('\n')}`);
        return result.value;
    }

    hear(method, params) {
        if (method === 'Log.entryAdded') this.said.push(`${params.entry.text} ${params.entry.url ?? ''}`);
        if (method === 'Runtime.exceptionThrown') this.said.push(params.exceptionDetails.exception?.description ?? params.exceptionDetails.text);
    }
}

export class Browser {
    static async start() {
        const browser = new Browser();
        await browser.ask('Target.setDiscoverTargets', { discover: false });
        return browser;
    }

    constructor() {
        this.folder = mkdtempSync(join(tmpdir(), 'cortex-browser-'));
        // It may not keep root in its sandbox; the pages are our own. A proxy of the environment is not asked for what is on this machine.
        this.child = startChild('chromium-headless-shell',
            ['--no-sandbox', '--remote-debugging-pipe', `--user-data-dir=${this.folder}`, '--no-proxy-server', '--disable-gpu', '--disable-dev-shm-usage'],
            { stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe'] });
        this.ended = new Promise((resolve) => {
            this.child.once('exit', resolve);
            this.child.once('error', resolve);
        });
        this.ended.then((why) => this.#fail(new Error(`the browser has ended (${why}): ${this.words}`)));
        this.words = '';
        this.waiting = new Map();
        this.pages = new Map();
        this.lastId = 0;
        [, , this.errors, this.commands, this.answers] = this.child.stdio;
        this.errors?.on('data', (piece) => { this.words = (this.words + piece).slice(-4000); });
        this.commands?.on('error', () => {}); // `ended` says why
        this.#listen();
    }

    // Messages are JSON, each ended by a NUL.
    #listen() {
        let rest = '';
        this.answers?.setEncoding('utf8');
        this.answers?.on('data', (piece) => {
            const messages = (rest + piece).split('\0');
            rest = messages.pop();
            for (const message of messages) this.#hear(JSON.parse(message));
        });
    }

    #hear({ id, result, error, method, params, sessionId }) {
        if (method) {
            this.pages.get(sessionId)?.hear(method, params);
            return;
        }
        const { resolve, reject } = this.waiting.get(id);
        this.waiting.delete(id);
        if (error) reject(new Error(`DevTools: ${error.message}`));
        else resolve(result);
    }

    #fail(error) {
        this.failure = error;
        for (const { reject } of this.waiting.values()) reject(error);
    }

    ask(method, params = {}, sessionId = undefined) {
        if (this.failure) return Promise.reject(this.failure);
        const id = ++this.lastId;
        return new Promise((resolve, reject) => {
            this.waiting.set(id, { resolve, reject });
            this.commands.write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
        });
    }

    // A page when it has loaded, in a profile of its own: nothing that another one cached or was told counts.
    async open(url) {
        const { browserContextId } = await this.ask('Target.createBrowserContext');
        const { targetId } = await this.ask('Target.createTarget', { url: 'about:blank', browserContextId });
        const { sessionId } = await this.ask('Target.attachToTarget', { targetId, flatten: true });
        const page = new Page(this, sessionId);
        this.pages.set(sessionId, page);
        for (const domain of ['Page', 'Runtime', 'Log']) await page.ask(`${domain}.enable`);
        const { errorText } = await page.ask('Page.navigate', { url });
        if (errorText) throw new Error(`the browser could not open ${url}: ${errorText}`);
        await until(() => page.run(() => document.readyState === 'complete'), 30_000, `the page ${url}`);
        return page;
    }

    async stop() {
        this.ask('Browser.close').catch(() => {}); // it has ended already
        const timer = setTimeout(() => signalChild(this.child, 'SIGKILL'), 10_000);
        await this.ended;
        clearTimeout(timer);
        rmSync(this.folder, { recursive: true, force: true });
    }
}
