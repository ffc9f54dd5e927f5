// A map of a document.
import { checkFunction, checkString } from './argument.js';
import { SharedNode, toKeys } from './shared.js';
import { contentJson } from './value.js';
/** Entries by key that several people can change: plain values, and shared types. */
export class SharedMap extends SharedNode {
    /** The entry of a key; `undefined` when there is none. */
    get(key) {
        const name = checkString(key, 'the key');
        const json = this.nodes.session.use(this.id, node => node.getEntry(name));
        return json === undefined ? undefined : this.read(json);
    }
    has(key) {
        const name = checkString(key, 'the key');
        return this.nodes.session.use(this.id, node => node.getEntry(name)) !== undefined;
    }
    set(key, value) {
        const name = checkString(key, 'the key');
        const json = contentJson(value, `the entry ${name}`);
        this.nodes.session.edit(this.id, node => {
            node.setEntry(name, json);
        });
    }
    /** Deletes an entry, when there is one. */
    delete(key) {
        const name = checkString(key, 'the key');
        this.nodes.session.edit(this.id, node => {
            node.deleteEntry(name);
        });
    }
    /** All entries, by key. */
    entries() {
        return this.read(this.nodes.session.use(this.id, node => node.entries()));
    }
    /** All keys, in their order. */
    keys() {
        return Object.keys(this.entries());
    }
    get size() {
        return this.keys().length;
    }
    toJSON() {
        return super.toJSON();
    }
    /** Calls a function after each transaction that changed the map, the local ones included. */
    subscribe(listener) {
        checkFunction(listener, 'the listener');
        return this.subscribeView(view => {
            const { local, origin } = view;
            listener({ keys: toKeys(view, this.nodes), local, origin });
        });
    }
}
//# sourceMappingURL=map.js.map