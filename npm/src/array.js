// An array of a document.
import { checkFunction, checkIndex } from './argument.js';
import { SharedSequence, toDelta } from './shared.js';
import { contentsJson } from './value.js';
/** A list that several people can change: plain values, and shared types. */
export class SharedArray extends SharedSequence {
    /** The entry at an index; `undefined` when there is none. */
    get(index) {
        const at = checkIndex(index, 'the index');
        const json = this.nodes.session.use(this.id, node => node.get(at));
        return json === undefined ? undefined : this.read(json);
    }
    /** Inserts entries before the one at an index. */
    insert(index, ...items) {
        const at = checkIndex(index, 'the index');
        const json = contentsJson(items, 'an entry');
        this.nodes.session.edit(this.id, node => {
            node.insert(at, json);
        });
    }
    /** Adds entries at the end. */
    push(...items) {
        this.insert(this.length, ...items);
    }
    /** All entries. */
    toArray() {
        return this.read(this.nodes.session.use(this.id, node => node.items()));
    }
    [Symbol.iterator]() {
        return this.toArray()[Symbol.iterator]();
    }
    toJSON() {
        return super.toJSON();
    }
    /** Calls a function after each transaction that changed the array, the local ones included. */
    subscribe(listener) {
        checkFunction(listener, 'the listener');
        return this.subscribeView(view => {
            const { local, origin } = view;
            listener({ delta: toDelta(view, this.nodes), local, origin });
        });
    }
}
//# sourceMappingURL=array.js.map