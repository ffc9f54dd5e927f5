// Elements, fragments and texts of a document, as editors of rich text keep them.
import { checkFunction, checkIndex, checkString } from './argument.js';
import { SharedSequence, toDelta, toKeys } from './shared.js';
import { Text } from './text.js';
import { contentJson, contentsJson } from './value.js';
/** Something with children. */
export class XmlFragment extends SharedSequence {
    /** The child at an index; `undefined` when there is none. */
    get(index) {
        const at = checkIndex(index, 'the index');
        const json = this.nodes.session.use(this.id, node => node.get(at));
        return json === undefined ? undefined : this.read(json);
    }
    /** Inserts children before the one at an index. */
    insert(index, ...children) {
        const at = checkIndex(index, 'the index');
        const json = contentsJson(children, 'a child');
        this.nodes.session.edit(this.id, node => {
            node.insert(at, json);
        });
    }
    /** Adds children at the end. */
    push(...children) {
        this.insert(this.length, ...children);
    }
    /** All children. */
    children() {
        return this.read(this.nodes.session.use(this.id, node => node.items()));
    }
    /** Everything inside, in one call. */
    toJSON() {
        return super.toJSON();
    }
    /** As XML, as Yjs writes it: for people to look at, because nothing is escaped. */
    toString() {
        return toXml(this.toJSON());
    }
    /** Calls a function after each transaction that changed it, the local ones included. */
    subscribe(listener) {
        checkFunction(listener, 'the listener');
        return this.subscribeView(view => {
            const { local, origin } = view;
            const delta = toDelta(view, this.nodes);
            listener({ delta, keys: toKeys(view, this.nodes), local, origin });
        });
    }
}
/** Something with a name, attributes and children. */
export class XmlElement extends XmlFragment {
    /** Its name, for example `paragraph`; it never changes. */
    name;
    /** @internal */
    constructor(nodes, id, name) {
        super(nodes, id);
        this.name = name;
    }
    getAttribute(key) {
        const name = checkString(key, 'the name of the attribute');
        const json = this.nodes.session.use(this.id, node => node.getEntry(name));
        return json === undefined ? undefined : this.read(json);
    }
    setAttribute(key, value) {
        const name = checkString(key, 'the name of the attribute');
        const json = contentJson(value, `the attribute ${name}`);
        this.nodes.session.edit(this.id, node => {
            node.setEntry(name, json);
        });
    }
    /** Removes an attribute, when there is one. */
    removeAttribute(key) {
        const name = checkString(key, 'the name of the attribute');
        this.nodes.session.edit(this.id, node => {
            node.deleteEntry(name);
        });
    }
    /** All attributes, by name. */
    attributes() {
        const json = this.nodes.session.use(this.id, node => node.entries());
        return this.read(json);
    }
}
/** A text among elements. */
export class XmlText extends Text {
    /** As XML, as Yjs writes it: formats are elements around the text. */
    toXml() {
        return toXml({ delta: this.toDelta() });
    }
}
function toXml(json) {
    if (Array.isArray(json))
        return json.map(toXml).join('');
    if ('delta' in json)
        return json.delta.map(formattedXml).join('');
    const { name, attributes, children } = json;
    const tag = name.toLocaleLowerCase();
    return `<${tag}${attributesXml(attributes)}>${children.map(toXml).join('')}</${tag}>`;
}
function formattedXml(step) {
    if (!('insert' in step))
        return '';
    let xml = String(step.insert);
    const formats = Object.entries(step.attributes ?? {}).sort(([a], [b]) => (a < b ? 1 : -1));
    for (const [name, value] of formats) {
        xml = `<${name}${attributesXml(value)}>${xml}</${name}>`;
    }
    return xml;
}
function attributesXml(attributes) {
    const entries = Object.entries(attributes ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
    return entries.map(([key, value]) => ` ${key}="${String(value)}"`).join('');
}
//# sourceMappingURL=xml.js.map