// A line a test, in the words of `cortex test`: "ok    <file>  <test>" or "FAIL  <file>  <test>" with the reason below.
import { basename } from 'node:path';

const file = basename(process.argv[1] ?? '').replace(/\.(test\.)?mjs$/, '');

function reason(error) {
    const cause = error?.cause ?? error;
    const text = cause?.stack ?? String(cause);
    return text.split('\n').map((line) => `        ${line}`).join('\n');
}

export default async function* report(events) {
    for await (const { type, data } of events) {
        if (type === 'test:pass' && data.details?.type !== 'suite') {
            const word = data.skip !== undefined ? 'skip' : 'ok';
            yield `${word.padEnd(5)} ${file}  ${data.name} (${Math.round(data.details.duration_ms)} ms)\n`;
        } else if (type === 'test:fail' && data.details.error?.failureType !== 'subtestsFailed') {
            yield `FAIL  ${file}  ${data.name}\n${reason(data.details.error)}\n`;
        } else if (type === 'test:diagnostic' && data.nesting > 0) {
            yield `        ${data.message}\n`;
        } else if (type === 'test:stdout' || type === 'test:stderr') {
            yield data.message;
        }
    }
}
