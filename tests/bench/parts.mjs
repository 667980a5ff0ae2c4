// parts.mjs [PART…]: prints the parts of the bench that are meant, in the order in which they are run; all without a name.
import { fileURLToPath } from 'node:url';

// Memory comes first: it is taken from a stack that nobody has used yet.
const PARTS = ['memory', 'idle', 'health', 'read', 'create', 'companies', 'events', 'scale', 'fairness', 'retention', 'locked', 'sums', 'lists', 'reads-fairness', 'traffic', 'usual', 'endurance'];
const LAST = ['rows']; // they stay
// A group stands for parts that can also be named alone.
const GROUPS = { realtime: ['realtime-memory', 'realtime-storm', 'realtime-companies', 'realtime-saturation', 'realtime-steady', 'realtime-stalled'] };
const ALL = [...PARTS, ...Object.values(GROUPS).flat(), ...LAST];

export function chosen(names) {
    const wanted = names.flatMap((name) => GROUPS[name] ?? name);
    const unknown = wanted.filter((part) => !ALL.includes(part));
    if (unknown.length) {
        throw new Error(`there is no part ${unknown.join(', ')}; the parts are ${[...PARTS, ...LAST, ...Object.keys(GROUPS)].join(', ')}, `
            + `and ${Object.entries(GROUPS).map(([group, parts]) => `${group} is made of ${parts.join(', ')}`).join('; ')}`);
    }
    return ALL.filter((part) => wanted.length === 0 || wanted.includes(part));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
    try {
        console.log(chosen(process.argv.slice(2)).join('\n'));
    } catch (error) {
        console.error(`bench: ${error.message}`);
        process.exit(2);
    }
}
