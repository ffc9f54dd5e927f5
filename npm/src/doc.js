// The document of a room.
import { checkFunction, checkString } from './argument.js';
import { apiError } from './error.js';
import { Kind } from './kind.js';
import { Nodes } from './nodes.js';
/**
 * The document of a room; to be used once `room.loaded` is there. Its parts have names, and are there
 * from the beginning: whoever asks for one first does not matter.
 */
export class Doc {
    #handle;
    #nodes;
    /** @internal */
    constructor(handle) {
        this.#handle = handle;
        this.#nodes = new Nodes(handle);
    }
    /** A text of the document, by its name. */
    text(name) {
        return this.#root(Kind.text, name);
    }
    /** A map of the document, by its name; the type parameter says what is in it. */
    map(name) {
        return this.#root(Kind.map, name);
    }
    /** An array of the document, by its name; the type parameter says what is in it. */
    array(name) {
        return this.#root(Kind.array, name);
    }
    /** A tree of elements and texts, as editors of rich text use it, by its name. */
    xml(name) {
        return this.#root(Kind.xmlFragment, name);
    }
    #root(kind, name) {
        checkString(name, 'the name of the type');
        this.#handle.use().claim(kind, name);
        return this.#nodes.get({ kind, name });
    }
    /**
     * Calls a function at once; its edits leave as one, and are one change for subscribers, who are
     * told `origin` with it. What was edited before the function throws stays edited.
     */
    transact(change, origin) {
        checkFunction(change, 'the change');
        const result = this.#handle.use().transact(change, origin);
        if (result instanceof Promise) {
            throw apiError('api.wrong_type', 'the change must not be async: it ends when it returns');
        }
        return result;
    }
}
//# sourceMappingURL=doc.js.map