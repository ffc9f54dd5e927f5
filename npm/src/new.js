// Shared types that are not in a document yet.
import { Kind } from './kind.js';
/**
 * A description of a shared type: set or inserted somewhere, it becomes one. The same description
 * may be used more than once, and makes another type each time.
 */
export class New {
    /** @internal */
    kind;
    /** @internal */
    parts;
    /** @internal */
    constructor(kind, parts) {
        this.kind = kind;
        this.parts = parts;
    }
}
/** A new map. */
export function newMap(entries = {}) {
    return new New(Kind.map, [{ ...entries }]);
}
/** A new array. */
export function newArray(items = []) {
    return new New(Kind.array, [[...items]]);
}
/** A new text: plain, or the steps of a delta that insert. */
export function newText(content = '') {
    return new New(Kind.text, [toDelta(content)]);
}
/** A new element. */
export function newXmlElement(name, attributes = {}, children = []) {
    return new New(Kind.xmlElement, [name, { ...attributes }, [...children]]);
}
/** A new text among elements: plain, or the steps of a delta that insert. */
export function newXmlText(content = '') {
    return new New(Kind.xmlText, [toDelta(content)]);
}
/** A new fragment inside another type. */
export function newXmlFragment(children = []) {
    return new New(Kind.xmlFragment, [[...children]]);
}
function toDelta(content) {
    if (typeof content !== 'string')
        return [...content];
    return content === '' ? [] : [{ insert: content }];
}
//# sourceMappingURL=new.js.map