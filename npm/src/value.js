// Values on their way into the module and back: JSON, with one form for what JSON cannot say (see
// core/src/doc/content.rs).
import { checkString, wrongType } from './argument.js';
import { apiError } from './error.js';
import { Kind } from './kind.js';
import { New } from './new.js';
/** The key of what JSON has no word for. */
const SPECIAL = '\u0000';
/** One level less than the module takes: a document is in a type, at least. */
const DEPTH_MAX = 60;
/** A content of a map, an array or an element, checked and as JSON. */
export function contentJson(value, what) {
    return JSON.stringify(content(value, what, []));
}
/** Contents of a sequence. */
export function contentsJson(values, what) {
    if (!Array.isArray(values))
        throw wrongType(what, 'an array', values);
    return JSON.stringify(values.map(value => content(value, what, [])));
}
/** The steps of a delta. */
export function deltaJson(steps, what) {
    return JSON.stringify(delta(steps, what, []));
}
function content(value, what, outer) {
    if (!(value instanceof New))
        return plain(value, what, outer);
    checkDepth(value, what, outer);
    const inside = [...outer, value];
    const part = (at) => value.parts[at];
    const list = (values) => {
        if (!Array.isArray(values))
            throw wrongType(what, 'an array', values);
        return values.map(item => content(item, what, inside));
    };
    const entries = (values) => {
        return mapEntries(values, what, entry => content(entry, what, inside));
    };
    switch (value.kind) {
        case Kind.map:
            return special(value.kind, entries(part(0)));
        case Kind.array:
        case Kind.xmlFragment:
            return special(value.kind, list(part(0)));
        case Kind.text:
        case Kind.xmlText:
            return special(value.kind, delta(part(0), what, inside));
        case Kind.xmlElement: {
            const name = checkString(part(0), 'the name of an element');
            return special(value.kind, name, entries(part(1)), list(part(2)));
        }
    }
}
function delta(steps, what, outer) {
    if (!Array.isArray(steps))
        throw wrongType(what, 'an array of steps', steps);
    return steps.map((step) => {
        if (typeof step !== 'object' || step === null)
            throw wrongType(`a step of ${what}`, 'an object', step);
        const { insert, retain, delete: gone, attributes } = step;
        const formats = attributes === undefined || attributes === null
            ? {}
            : { attributes: checkFormats(attributes) };
        if (insert !== undefined) {
            if (typeof insert !== 'string' && (typeof insert !== 'object' || insert === null)) {
                throw wrongType('what a step inserts', 'a string, an object or a new shared type', insert);
            }
            return { insert: content(insert, what, outer), ...formats };
        }
        const [length, name] = gone === undefined ? [retain, 'retain'] : [gone, 'delete'];
        if (typeof length !== 'number' || !Number.isInteger(length) || length < 0) {
            throw wrongType(`a step of ${what}`, 'one of insert, retain and delete', length);
        }
        return name === 'retain' ? { retain: length, ...formats } : { delete: length };
    });
}
/** Formats of a text; they are written as JSON by every peer, so bytes do not survive in them. */
export function checkFormats(value) {
    return mapEntries(value, 'the formats', format => plain(format, 'a format', []));
}
/** A value that is nothing but data. */
function plain(value, what, outer) {
    switch (typeof value) {
        case 'string':
            return checkString(value, what);
        case 'boolean':
            return value;
        case 'number':
            if (!Number.isFinite(value))
                throw wrongType(what, 'a finite number', value);
            // Larger ones would be read as whole numbers of 64 bits.
            return Math.abs(value) > Number.MAX_SAFE_INTEGER ? special('number', String(value)) : value;
        case 'object':
            if (value === null)
                return null;
            break;
        default:
            throw wrongType(what, 'a plain value (delete an entry to have none)', value);
    }
    checkDepth(value, what, outer);
    const inside = [...outer, value];
    if (value instanceof Uint8Array)
        return special('bytes', latin1(value));
    if (Array.isArray(value))
        return value.map(item => plain(item, what, inside));
    if (value instanceof New) {
        throw apiError('api.wrong_type', `${what} holds a new shared type inside a plain value: use newMap or newArray around it`);
    }
    const prototype = Object.getPrototypeOf(value);
    if (prototype !== null && Object.getPrototypeOf(prototype) !== null) {
        const name = value.constructor?.name ?? 'some class';
        throw apiError('api.wrong_type', `${what} must be plain data, not an instance of ${name}`);
    }
    return mapEntries(value, what, entry => plain(entry, what, inside));
}
function checkDepth(value, what, outer) {
    if (outer.includes(value))
        throw apiError('api.wrong_type', `${what} holds itself`);
    if (outer.length >= DEPTH_MAX) {
        throw apiError('api.too_deep', `${what} is nested deeper than ${String(DEPTH_MAX)} levels`);
    }
}
function mapEntries(value, what, change) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
        throw wrongType(what, 'an object', value);
    }
    const entries = [];
    for (const [key, entry] of Object.entries(value)) {
        // As in JSON, an entry that is undefined is none.
        if (entry === undefined)
            continue;
        if (key === SPECIAL)
            throw apiError('api.wrong_type', `${what} has the key U+0000, which is taken`);
        entries.push([checkString(key, 'a key'), change(entry)]);
    }
    // A key `__proto__` becomes an entry as well.
    return Object.fromEntries(entries);
}
function special(...parts) {
    return { [SPECIAL]: parts };
}
function latin1(bytes) {
    let text = '';
    for (let at = 0; at < bytes.length; at += 8192) {
        text += String.fromCharCode(...bytes.subarray(at, at + 8192));
    }
    return text;
}
/** Reads a value of the module. */
export function fromJson(json, makeNode) {
    const value = JSON.parse(json);
    return json.includes('\\u0000') ? revive(value, makeNode) : value;
}
/** Puts in place what JSON had no word for. */
export function revive(value, makeNode) {
    if (typeof value !== 'object' || value === null)
        return value;
    if (Array.isArray(value))
        return value.map(item => revive(item, makeNode));
    const parts = value[SPECIAL];
    if (parts !== undefined)
        return reviveSpecial(parts, makeNode);
    const entries = Object.entries(value).map(([key, entry]) => [key, revive(entry, makeNode)]);
    return Object.fromEntries(entries);
}
function reviveSpecial(parts, makeNode) {
    const [kind, content] = parts;
    switch (kind) {
        case 'undefined':
            return undefined;
        case 'number':
            return Number(content);
        case 'bigint':
            return BigInt(content);
        case 'bytes':
            return Uint8Array.from(content, char => char.charCodeAt(0));
        case 'object':
            return Object.fromEntries(content.map(([key, entry]) => [key, revive(entry, makeNode)]));
        default:
            return makeNode(toNodeId(parts), parts[3]);
    }
}
/** Which type is meant by what the module wrote. */
export function toNodeId(parts) {
    const [kind, first, clock] = parts;
    return typeof first === 'string'
        ? { kind, name: first }
        : { kind, client: first, clock: clock ?? 0 };
}
//# sourceMappingURL=value.js.map