// The shared types of one room in the present instance of the module, and who listens to them.
import { apiError } from './error.js';
import { Kind } from './kind.js';
import { Listeners } from './listeners.js';
import { nodeKey } from './shared.js';
import { toNodeId } from './value.js';
export class SharedNodes {
    /** Those with a name, which are few. */
    #named = new Map();
    /** One for all nested ones, in turn: nobody tells when an app lets go of one. */
    #nested;
    #kinds = new Map();
    #observed = new Map();
    /** Checks that a name is used for one kind of type only. */
    claim(kind, name) {
        const known = this.#kinds.get(name);
        if (known === undefined)
            this.#kinds.set(name, kind);
        else if (known !== kind) {
            const names = new Map(Object.entries(Kind).map(([name, kind]) => [kind, name]));
            const [is, wanted] = [names.get(known) ?? '', names.get(kind) ?? ''];
            const message = `${JSON.stringify(name)} is used as ${is} already, and cannot be ${wanted} as well`;
            throw apiError('api.wrong_type', message);
        }
    }
    /** The type in the module, until the next call. */
    get(room, id) {
        if ('name' in id) {
            let node = this.#named.get(id.name);
            if (node === undefined) {
                node = room.node(id.kind, id.name);
                if (node === undefined)
                    throw apiError('api.wrong_type', 'there is no such kind of type');
                this.#named.set(id.name, node);
            }
            return node;
        }
        this.#nested ??= room.node(id.kind, '');
        if (this.#nested === undefined)
            throw apiError('api.wrong_type', 'there is no such kind of type');
        this.#nested.point(id.kind, id.client, id.clock);
        return this.#nested;
    }
    subscribe(room, id, isDeep, listener) {
        const key = nodeKey(id);
        const observed = this.#observed.get(key) ?? { id, own: new Listeners(), deep: new Listeners() };
        const listeners = isDeep ? observed.deep : observed.own;
        if (listeners.isEmpty)
            this.get(room, id).observe(isDeep);
        this.#observed.set(key, observed);
        const subscription = listeners.add(listener);
        const end = (room) => {
            subscription.dispose();
            if (!listeners.isEmpty)
                return;
            if (observed.own.isEmpty && observed.deep.isEmpty)
                this.#observed.delete(key);
            if (room !== undefined)
                this.get(room, id).unobserve(isDeep);
        };
        return { end };
    }
    /** What listeners are to be told of changes, in order. */
    changed(changes) {
        return transactions(changes).map(({ key, group }) => () => {
            const observed = this.#observed.get(key);
            if (observed === undefined)
                return;
            const own = group.filter(change => keyOf(change.target) === key);
            if (own.length > 0)
                observed.own.notify(own);
            // Outer types first, as in Yjs.
            observed.deep.notify([...group].sort((a, b) => a.path.length - b.path.length));
        });
    }
    /** Goes on in another instance of the module. */
    restore(room) {
        this.#named = new Map();
        this.#nested = undefined;
        for (const { id, own, deep } of this.#observed.values()) {
            if (!own.isEmpty)
                this.get(room, id).observe(false);
            if (!deep.isEmpty)
                this.get(room, id).observe(true);
        }
    }
    /** Lets go of the module's memory. */
    free() {
        for (const node of this.#named.values())
            node.free();
        this.#nested?.free();
        this.#named.clear();
        this.#nested = undefined;
    }
}
/** Changes that belong together, by the observed type. */
function transactions(changes) {
    const all = [];
    const last = new Map();
    for (const change of changes) {
        const key = keyOf(change.observed);
        const open = last.get(key);
        if (open?.number === change.transaction) {
            open.group.push(change);
            continue;
        }
        const group = [change];
        last.set(key, { number: change.transaction, group });
        all.push({ key, group });
    }
    return all;
}
function keyOf(node) {
    return nodeKey(toNodeId(node['\u0000']));
}
//# sourceMappingURL=shared-nodes.js.map