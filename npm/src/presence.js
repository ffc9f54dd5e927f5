// What the peers of a room show each other.
import { checkFunction, checkPresence } from './argument.js';
/** What the peers of a room show: who, where, doing what. Nothing of it is kept. */
export class Presence {
    #handle;
    /** @internal */
    constructor(handle) {
        this.#handle = handle;
    }
    /** The others, without those that show nothing. */
    get peers() {
        return this.#handle.session.peers;
    }
    /** Shows a JSON object to the others, or nothing any more. Shared by all handles of the room. */
    set(state) {
        const json = checkPresence(state);
        this.#handle.use().setPresence(json);
    }
    /** Calls a function soon and then after changes, at most once per animation frame. */
    subscribe(listener) {
        checkFunction(listener, 'the listener');
        const session = this.#handle.use();
        session.requestPeers();
        return this.#handle.own(session.peerListeners.add(() => {
            listener(this.peers);
        }));
    }
}
//# sourceMappingURL=presence.js.map