// A text of a document.
import { checkFunction, checkIndex, checkString } from './argument.js';
import { SharedSequence, toDelta } from './shared.js';
import { checkFormats, deltaJson } from './value.js';
/**
 * A text; indexes and lengths count UTF-16 code units, as in strings. What is embedded counts one,
 * and stands as U+FFFC in the string.
 */
export class Text extends SharedSequence {
    toString() {
        return this.nodes.session.use(this.id, node => node.text());
    }
    toJSON() {
        return this.toString();
    }
    /** The text with its formats and what is embedded: steps that insert. */
    toDelta() {
        return this.read(this.nodes.session.use(this.id, node => node.delta()));
    }
    /**
     * Inserts text. Without `formats` it takes on those of what is before it, with them it has exactly
     * those.
     */
    insert(index, content, formats) {
        const at = checkIndex(index, 'the index');
        const checked = checkString(content, 'the content');
        if (formats !== undefined) {
            this.applyDelta([{ retain: at }, { insert: checked, attributes: formats }]);
            return;
        }
        this.nodes.session.edit(this.id, node => {
            node.insertText(at, checked);
        });
    }
    /** Inserts an object, or a new shared type, which counts as one character. */
    embed(index, content, formats = {}) {
        const at = checkIndex(index, 'the index');
        this.applyDelta([{ retain: at }, { insert: content, attributes: formats }]);
    }
    /** Gives formats to a part of the text; `null` takes one away. */
    format(index, length, formats) {
        const at = checkIndex(index, 'the index');
        const checked = checkIndex(length, 'the length');
        const attributes = checkFormats(formats);
        this.applyDelta([{ retain: at }, { retain: checked, attributes }]);
    }
    /** Makes a change of several steps. What is inserted has exactly the formats that are given. */
    applyDelta(delta) {
        const json = deltaJson(delta, 'the delta');
        this.nodes.session.edit(this.id, node => {
            node.apply(json);
        });
    }
    /**
     * Calls a function after each transaction that changed the text, the local ones included. The
     * document may be ahead of the change when several come together; the changes alone always tell
     * the whole story, in order.
     */
    subscribe(listener) {
        checkFunction(listener, 'the listener');
        return this.subscribeView(view => {
            const { local, origin } = view;
            const delta = toDelta(view, this.nodes);
            if (delta.length > 0)
                listener({ delta, local, origin });
        });
    }
}
//# sourceMappingURL=text.js.map