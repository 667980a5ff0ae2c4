// A page as a web developer writes it: it lists, creates, watches and exports the projects of a company, by the API of another origin.
// The part of its address behind # says which API, and who is there.
const { api, token, company } = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));

const call = (path, { headers, ...options } = {}) => fetch(new URL(path, api), { ...options, headers: { Authorization: `Bearer ${token}`, ...headers } });
const send = (method, path, body, headers) => call(path, { method, body: JSON.stringify(body), headers: { 'Content-Type': 'application/json', ...headers } });

function show(project) {
    const item = document.querySelector(`[id="${project.id}"]`) ?? document.getElementById('projects').appendChild(document.createElement('li'));
    item.id = project.id;
    item.textContent = project.name;
}
const shown = () => [...document.querySelectorAll('#projects li')].map(({ textContent }) => textContent);

async function list() {
    for (let path = '/v1/projects?limit=2'; path; ) {
        const answer = await call(path);
        (await answer.json()).data.forEach(show);
        path = answer.headers.get('Link')?.match(/<([^>]*)>; rel="next"/)?.[1];
    }
    return shown();
}

// Twice, as after an answer that got lost.
async function create(name) {
    const key = crypto.randomUUID();
    const answers = [await send('POST', '/v1/projects', { name }, { 'Idempotency-Key': key }), await send('POST', '/v1/projects', { name }, { 'Idempotency-Key': key })];
    const place = answers[0].headers.get('Location');
    const seen = await call(place);
    show(await seen.json());
    return { statuses: answers.map(({ status }) => status), replayed: answers[1].headers.get('Idempotent-Replayed'), place, etag: seen.headers.get('ETag') };
}

async function rename(place, name, etag) {
    const answer = await send('PATCH', place, { name }, { 'If-Match': etag });
    if (answer.ok) show(await answer.json());
    return { status: answer.status, etag: answer.headers.get('ETag') };
}

// Goes on from the last event with another ticket when the stream has ended.
const watching = { tickets: 0, heard: [], last: '', ready: 0 };
async function watch() {
    const again = () => setTimeout(watch, 200);
    const answer = await send('POST', '/v1/tickets', { channels: [`company:${company}`] }).catch(() => undefined);
    if (!answer?.ok) {
        again();
        return;
    }
    watching.tickets += 1;
    const { ticket } = await answer.json();
    const events = new EventSource(`${api}/v1/events?ticket=${ticket}&last_event_id=${watching.last}`);
    events.addEventListener('ready', (event) => {
        watching.last = event.lastEventId;
        watching.ready += 1;
    });
    events.addEventListener('project.created', (event) => {
        const { data } = JSON.parse(event.data);
        watching.last = event.lastEventId;
        watching.heard.push(data.name);
        show(data);
    });
    events.onerror = () => {
        events.close();
        again();
    };
}

// By one of the ways to the server, in real time; what is created is created on the same way.
const realTime = (transport, name) => new Promise((resolve, reject) => {
    const end = (settle) => (what) => {
        client.disconnect();
        settle(what);
    };
    const endpoint = new URL(`/connection/${transport}`, transport === 'websocket' ? api.replace(/^http/, 'ws') : api).href;
    const client = new Centrifuge([{ transport, endpoint }], { token, emulationEndpoint: `${api}/emulation` });
    const subscription = client.newSubscription(`company:${company}`);
    const heard = new Promise((told) => subscription.on('publication', ({ data }) => data.data.name === name && told(data.type)));
    subscription.on('subscribed', () => Promise.all([client.rpc('POST /v1/projects', { body: { name } }), heard])
        .then(([{ data: { status } }, type]) => ({ status, type })).then(end(resolve), end(reject)));
    client.on('error', ({ error }) => end(reject)(new Error(error.message)));
    subscription.subscribe();
    client.connect();
});

async function download() {
    const begun = await send('POST', '/v1/exports', { resource: 'project', format: 'csv' });
    const place = begun.headers.get('Location');
    while (['pending', 'running'].includes((await (await call(place)).json()).status)) await new Promise((resolve) => setTimeout(resolve, 100));
    const file = await call(`${place}/content`);
    const saved = new File([await file.blob()], file.headers.get('Content-Disposition')?.match(/filename="([^"]*)"/)?.[1] ?? '', { type: file.headers.get('Content-Type') });
    const part = await call(`${place}/content`, { headers: { Range: 'bytes=0-1' } });
    return { name: saved.name, type: saved.type, text: await saved.text(), part: part.status, range: part.headers.get('Content-Range') };
}

// What a page learns of a request that is refused: `fetch` throws where it may not read the answer.
async function refusal(path, options) {
    const answer = await call(path, options);
    return { status: answer.status, type: (await answer.json()).type, id: Boolean(answer.headers.get('X-Request-Id')), retry: answer.headers.get('Retry-After') };
}

Object.assign(window, { list, create, rename, watch, watching, realTime, download, refusal, shown });
