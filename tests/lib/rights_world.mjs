// A company with an entity of every resource that the schemas make, in projects to which a user is tied in each way that rights know.
import { canBeMade, isNullable, sampleOfMany, typeOf } from './tables.mjs';

// What the user is. `own`: the entities are assigned to it, made by it, and about it; `former`: made by it and about it, but it is no member.
export const RELATIONS = {
    nobody: {},
    member: { member: true },
    manager: { member: true, manager: true },
    own: { member: true, assignee: true, creator: true, self: true },
    former: { creator: true, self: true },
};

// Runs `work` for each item, `most` of them at a time.
export async function each(items, most, work) {
    const rest = [...items];
    await Promise.all(Array.from({ length: most }, async () => { while (rest.length > 0) await work(rest.shift()); }));
}

const tieOf = ({ 'x-tie': tie }) => tie;

export class World {
    // `create(api, path, body)` returns the entity.
    constructor(stack, resources, create) {
        Object.assign(this, { stack, create, resources: Object.values(resources).filter((one) => canBeMade(one) || one.single), byName: resources });
    }

    async build() {
        this.company = await this.stack.addCompany();
        this.admin = this.stack.client({ company: this.company });
        this.shared = { company: (await this.admin.get('/v1/company')).body }; // what others refer to and belongs to no project
        this.places = {};
        for (const name of ['client', 'subcontractor']) this.shared[name] = await this.make(this.byName[name]);
        for (const [relation, is] of Object.entries(RELATIONS)) {
            const user = await this.stack.addUser(this.company);
            const place = this.places[relation] = { relation, is, user, entities: {}, owner: this.stack.client({ company: this.company, user }) };
            place.entities.project = await this.make(this.byName.project, place);
            if (is.member && !is.manager) await this.admin.post(`/v1/projects/${place.entities.project.id}/members`, { user_id: user });
        }
        for (const place of Object.values(this.places)) {
            const depth = (resource) => (resource.parent ? 1 + depth(this.byName[resource.parent]) : 0);
            for (const resource of this.resources.toSorted((a, b) => depth(a) - depth(b)))
                place.entities[resource.name] ??= this.shared[resource.name] ?? await this.make(resource, place);
        }
        return this;
    }

    sample([name, field], place) {
        const to = field['x-reference']?.to;
        if (name === 'project_id') return place.entities.project.id;
        if (to === 'user') return this.stack.addUser(this.company);
        if (to) return (place?.entities[to] ?? this.shared[to]).id;
        if (name === 'user_id') return '00000000-0000-7000-8000-000000000001'; // of a revocation: nobody's
        if (name === 'resource') return 'client';
        if (field.enum) return field.enum[0];
        if (field.format === 'date-time') return '2026-01-01T00:00:00Z';
        if (field.format === 'uri') return 'https://test.example/';
        if (['array', 'object'].includes(typeOf(field))) return sampleOfMany(field);
        return { integer: Math.max(field.minimum ?? 1, 1), number: 1, boolean: true, string: 'x' }[typeOf(field)];
    }

    // The body of a create; with `tied`, the user of the place is named by the fields that can name it.
    async body(resource, place, tied = false) {
        const wanted = Object.entries(resource.fields).filter(([name, field]) => !field.readOnly &&
            (resource.required.includes(name) || (name === 'project_id' && resource.channel) || (tied && place?.is[tieOf(field)] && resource.name !== 'project_member')));
        return Object.fromEntries(await Promise.all(wanted.map(async ([name, field]) =>
            [name, tied && place?.is[tieOf(field)] && resource.name !== 'project_member' ? place.user : await this.sample([name, field], place)])));
    }

    collection(resource, place) {
        if (resource.single) return `/v1/${resource.collection}`;
        if (!resource.parent) return resource.path ?? `/v1/${resource.collection}`;
        const above = this.byName[resource.parent];
        return `/v1/${above.collection}/${place.entities[above.name].id}/${resource.collection}`;
    }

    at(resource, place, entity = place.entities[resource.name]) {
        const collection = this.collection(resource, place);
        return resource.single ? collection : `${collection}/${entity.id}`;
    }

    async make(resource, place) {
        const api = place?.is.creator ? place.owner : this.admin;
        return this.create(api, this.collection(resource, place), await this.body(resource, place, true));
    }

    // Members that a role does not see and could write.
    hiddenFields(resource, classes) {
        return Object.entries(resource.fields).filter(([, field]) => !field.readOnly && isNullable(field) && field['x-class'] && !classes.includes(field['x-class'])).map(([name]) => name);
    }
}
