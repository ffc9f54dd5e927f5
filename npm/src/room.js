// A room as an app holds it.
import { checkFunction, checkTexts, wrongType } from './argument.js';
import { makeDisposable } from './disposer.js';
import { Doc } from './doc.js';
import { Handle } from './handle.js';
import { Presence } from './presence.js';
const disposed = { state: 'disposed' };
/** A share in a room; whoever asks for the same room of the same client shares the session. */
export class Room {
    /** The document. */
    doc;
    /** What the peers show each other. */
    presence;
    #handle;
    static {
        makeDisposable(this.prototype);
    }
    /** @internal */
    constructor(session, release) {
        this.#handle = new Handle(session, release);
        this.doc = new Doc(this.#handle);
        this.presence = new Presence(this.#handle);
    }
    get name() {
        return this.#handle.session.name;
    }
    /** When what this device has is in the document. Offline, too; rejects when disposed before. */
    get loaded() {
        return this.#handle.session.loaded.promise;
    }
    /** When the document first has everything that the relay has; rejects when the room stops. */
    get synced() {
        return this.#handle.session.synced.promise;
    }
    /** How the room stands to the relay; the same object as long as nothing changes. */
    get status() {
        return this.#handle.isDisposed ? disposed : this.#handle.session.status;
    }
    /** How safe the own edits are; the same object as long as nothing changes. */
    get saved() {
        return this.#handle.session.saved;
    }
    /**
     * What this session may do: a viewer reads and shows presence, and its edits throw
     * `room.read_only`. An editor until the relay says otherwise.
     */
    get role() {
        return this.#handle.session.role;
    }
    /**
     * Documents of this room that the relay would not have, and that nobody has dropped yet: those on
     * this device, from earlier visits too, and without a device those of this client.
     */
    async copies() {
        return this.#handle.use().copies();
    }
    /** Where this device keeps the room; settled when `loaded`. */
    get storage() {
        return this.#handle.session.storage;
    }
    /**
     * When everything in the document is on the relay's disk, whoever wrote it. Waits as long as
     * that takes, also for the connection; rejects when the room stops or is disposed.
     */
    async flush() {
        await this.#handle.use().flush();
    }
    /**
     * Brings texts, by name, to a room that has no content yet. The relay decides: however many
     * bring something at the same time, one of them is first. Resolves to whether it was this one,
     * once the room is in step with the relay.
     */
    async seed(texts) {
        return this.#handle.use().seed(checkTexts(texts));
    }
    /** Calls a function when something happens. */
    on(event, listener) {
        checkFunction(listener, 'the listener');
        const listeners = this.#handle.use().listeners;
        if (!Object.hasOwn(listeners, event)) {
            throw wrongType('the event', `one of ${Object.keys(listeners).join(', ')}`, event);
        }
        return this.#handle.own(listeners[event].add(listener));
    }
    /** Gives the share back; the room is left when nobody has one. Edits so far are sent before. */
    dispose() {
        this.#handle.dispose();
    }
}
//# sourceMappingURL=room.js.map