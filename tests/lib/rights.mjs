// What the schemas say of rights, evaluated for tests. It shares nothing with what the servers have of it.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

// { super_admin: ['money', 'personal'], … }
export function readRoles(root) {
    const rows = readFileSync(join(root, 'common/msg/roles.def'), 'utf8').matchAll(/^ROLE\(\w+,\s*"(\w+)",\s*(.*)\)$/gm);
    return Object.fromEntries([...rows].map(([, name, classes]) => [name, [...classes.matchAll(/SEES\((\w+)\)/g)].map(([, one]) => one.toLowerCase())]));
}

const list = (value) => (value === undefined ? [] : [value].flat());

// `who` is { role, member, manager, assignee, creator, self }: what the user is to the entity.
export const has = ({ rights }, right, who) => list(rights[who.role]?.[right]).some((condition) => condition === 'any' || who[condition]);

// The status of a request, where it would be `ok` for one who may do all. `above`: the resource that must be seen, and what the user is to it.
export function statusOf(resource, right, who, ok, above = resource) {
    if (list(resource.rights[who.role]?.[right]).length === 0) return 403;
    if (!has(above, 'read', who)) return 404;
    return has(resource, right, who) ? ok : 403;
}

// The names of the fields that a role sees.
export const fieldsOf = ({ fields }, classes) => Object.entries(fields).filter(([, field]) => !field['x-secret']).filter(([, field]) => !field['x-class'] || classes.includes(field['x-class'])).map(([name]) => name).sort();
