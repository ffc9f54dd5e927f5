// The shared types of one document, as one holder of the room has them.
import { SharedArray } from './array.js';
import { apiError } from './error.js';
import { Kind } from './kind.js';
import { SharedMap } from './map.js';
import { nodeKey, toDelta, toKeys } from './shared.js';
import { Text } from './text.js';
import { toNodeId } from './value.js';
import { XmlElement, XmlFragment, XmlText } from './xml.js';
const kindNames = new Map(Object.entries(Kind).map(([name, kind]) => [kind, name]));
export class Nodes {
    /** Gives the object of a type that the module told of. */
    make = (id, name) => this.get(id, name);
    #handle;
    /** Types that somebody holds. */
    #known = new Map();
    #dropped = new FinalizationRegistry(key => {
        if (this.#known.get(key)?.deref() === undefined)
            this.#known.delete(key);
    });
    constructor(handle) {
        this.#handle = handle;
    }
    get session() {
        return this.#handle.use();
    }
    /** The object of a type: the same one as long as somebody holds it. */
    get(id, name) {
        const key = nodeKey(id);
        const known = this.#known.get(key)?.deref();
        if (known !== undefined) {
            if (known.id.kind === id.kind)
                return known;
            const [is, wanted] = [known.id.kind, id.kind].map(kind => kindNames.get(kind) ?? '');
            throw apiError('api.wrong_type', `${key} is used as ${is ?? ''}, and cannot be ${wanted ?? ''} as well`);
        }
        const node = this.#create(id, name);
        this.#known.set(key, new WeakRef(node));
        this.#dropped.register(node, key);
        return node;
    }
    #create(id, name) {
        switch (id.kind) {
            case Kind.array:
                return new SharedArray(this, id);
            case Kind.map:
                return new SharedMap(this, id);
            case Kind.text:
                return new Text(this, id);
            case Kind.xmlElement:
                return new XmlElement(this, id, name ?? '');
            case Kind.xmlFragment:
                return new XmlFragment(this, id);
            case Kind.xmlText:
                return new XmlText(this, id);
        }
    }
    subscribe(id, isDeep, call) {
        return this.#handle.own(this.session.subscribe(id, isDeep, call));
    }
    toDeepChange(view) {
        const target = view.target['\u0000'];
        return {
            target: this.get(toNodeId(target), target[3]),
            path: view.path,
            delta: toDelta(view, this),
            keys: toKeys(view, this),
            local: view.local,
            origin: view.origin,
        };
    }
}
//# sourceMappingURL=nodes.js.map