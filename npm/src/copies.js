// Documents that were set aside: what the relay would not have, kept for the app.
import { CoweaveError, guarded, toError } from './error.js';
/** A document that was set aside: it is in no room any more, and stays until the app drops it. */
export class SetAsideCopy {
    /** Its name; the same document has the same name wherever it is set aside. */
    id;
    /** Why. */
    error;
    /** When, as of `Date.now()`. */
    time;
    /** All of it, as a Yjs update (v1). */
    update;
    #read;
    #drop;
    #texts;
    /** @internal */
    constructor(id, { error, time }, update, read, drop) {
        this.id = id;
        this.error = new CoweaveError(error);
        this.time = time;
        this.update = update;
        this.#read = read;
        this.#drop = drop;
    }
    /** The texts in it, by name; none when it is only a part of a document. */
    get texts() {
        this.#texts ??= this.#readTexts();
        return this.#texts;
    }
    #readTexts() {
        try {
            const pairs = JSON.parse(guarded(() => this.#read(this.update)));
            return Object.fromEntries(pairs);
        }
        catch (error) {
            // What the device could not use is set aside as it is.
            if (error instanceof CoweaveError && error.code.startsWith('update.'))
                return {};
            throw error;
        }
    }
    /** A text in it; empty when there is none of this name. */
    text(name) {
        return Object.hasOwn(this.texts, name) ? this.texts[name] ?? '' : '';
    }
    /** Forgets it for good, on this device too. */
    async drop() {
        await this.#drop();
    }
}
/** What was set aside through one client, and what the device has from before. */
export class Copies {
    #session;
    /** Of this client, by room and id: where nothing is kept on a device, there is no other place. */
    #own = new Map();
    constructor(session) {
        this.#session = session;
    }
    /** Takes a copy in that is in the news. */
    add(room, id, about) {
        const update = guarded(() => this.#session.use().takeCopy(id)) ?? new Uint8Array();
        const copy = this.#copy(room, id, about, update);
        const own = this.#own.get(room) ?? new Map();
        own.set(id, { copy, isOnDevice: false });
        this.#own.set(room, own);
        return copy;
    }
    /** All copies of a room, the oldest first. */
    async list(room) {
        const own = this.#own.get(room);
        const stored = await this.#stored(room).catch((error) => {
            // Where the device fails, those of this client are still there.
            if (own === undefined || own.size === 0)
                throw error;
            return undefined;
        });
        if (stored === undefined)
            return [...own?.values() ?? []].map(({ copy }) => copy);
        const copies = new Map();
        for (let at = 0; at < stored.length; at += 3) {
            const [id, about, update] = stored.slice(at, at + 3);
            const known = own?.get(id);
            if (known !== undefined)
                known.isOnDevice = true;
            copies.set(id, known?.copy ?? this.#copy(room, id, JSON.parse(about), update));
        }
        for (const [id, { copy, isOnDevice }] of own ?? []) {
            // One that was on the device and is not any more was dropped in another tab.
            if (isOnDevice && !copies.has(id))
                own?.delete(id);
            else
                copies.set(id, copy);
        }
        return [...copies.values()].sort((one, other) => one.time - other.time);
    }
    async #stored(room) {
        const stored = settled(this.#session.use().copies(room));
        return await stored;
    }
    #copy(room, id, about, update) {
        const read = (bytes) => this.#session.classes().Room.textsOf(bytes);
        return new SetAsideCopy(id, about, update, read, async () => {
            await settled(this.#session.use().dropCopy(room, id));
            this.#own.get(room)?.delete(id);
        });
    }
}
/** What a promise of the module gives; it rejects with JSON text. */
async function settled(promise) {
    try {
        return await promise;
    }
    catch (thrown) {
        throw toError(thrown);
    }
}
//# sourceMappingURL=copies.js.map