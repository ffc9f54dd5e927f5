// What all shared types have in common.
import { checkFunction, checkIndex, wrongType } from './argument.js';
import { Kind } from './kind.js';
import { fromJson, revive } from './value.js';
/** The same text for the same type. */
export function nodeKey(id) {
    return 'name' in id ? `/${id.name}` : `${String(id.client)}.${String(id.clock)}`;
}
/** A part of a document that several people can change. The same part is always the same object. */
export class SharedNode {
    /** @internal */
    nodes;
    /** @internal */
    id;
    /** @internal */
    constructor(nodes, id) {
        this.nodes = nodes;
        this.id = id;
    }
    /**
     * Calls a function after each transaction that changed this type or one inside it, with all those
     * changes. See `subscribe` for when.
     */
    subscribeDeep(listener) {
        checkFunction(listener, 'the listener');
        return this.nodes.subscribe(this.id, true, views => {
            listener(views.map(view => this.nodes.toDeepChange(view)));
        });
    }
    /** @internal */
    subscribeView(call) {
        return this.nodes.subscribe(this.id, false, views => {
            for (const view of views)
                call(view);
        });
    }
    /** @internal */
    read(json) {
        return fromJson(json, this.nodes.make);
    }
    /** Everything inside as plain data. */
    toJSON() {
        const { nodes, id } = this;
        return fromJson(nodes.session.use(id, node => node.tree()), nodes.make);
    }
}
/** A shared type with a length. */
export class SharedSequence extends SharedNode {
    get length() {
        return this.nodes.session.use(this.id, node => node.length());
    }
    delete(index, length) {
        const at = checkIndex(index, 'the index');
        const checked = checkIndex(length, 'the length');
        this.nodes.session.edit(this.id, node => {
            node.delete(at, checked);
        });
    }
    /** A position at an index; `side` says to which neighbor it sticks when something comes between. */
    position(index, side = 'right') {
        const at = checkIndex(index, 'the index');
        // Types promise nothing at run time.
        if (!['left', 'right'].includes(side))
            throw wrongType('the side', "'left' or 'right'", side);
        const json = this.nodes.session.use(this.id, node => node.position(at, side === 'left'));
        return JSON.parse(json);
    }
    /**
     * The index of a position now; `null` when it is none of this type, or one that has not arrived
     * here yet. Anything may be handed in, because positions come from others.
     */
    resolve(position) {
        const json = typeof position === 'object' ? JSON.stringify(position) : 'null';
        return this.nodes.session.use(this.id, node => node.resolve(json)) ?? null;
    }
}
/** The steps of a change, with the objects of this document. */
export function toDelta(view, nodes) {
    const isText = view.target['\u0000'][0] === Kind.text || view.target['\u0000'][0] === Kind.xmlText;
    return view.delta.flatMap((step) => {
        if (!('insert' in step) || typeof step.insert === 'string')
            return [step];
        const values = revive(step.insert, nodes.make);
        const { attributes } = step;
        if (!isText)
            return [{ insert: values }];
        // In a text each embedded object is a step of its own.
        return values.map(insert => ({ insert, ...attributes !== undefined && { attributes } }));
    });
}
/** How entries changed, with the objects of this document. */
export function toKeys(view, nodes) {
    return new Map(view.keys.map(([key, before, after]) => {
        const action = before.length === 0 ? 'add' : after.length === 0 ? 'delete' : 'update';
        return [key, { action, before: revive(before[0], nodes.make), after: revive(after[0], nodes.make) }];
    }));
}
//# sourceMappingURL=shared.js.map