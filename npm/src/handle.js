// What one caller of `client.room` holds: a share in the room, and what hangs on it.
import { Cleanup } from './disposer.js';
import { disposedError } from './room-session.js';
/** A share in a room. */
export class Handle {
    session;
    #release;
    #owned = new Set();
    #isDisposed = false;
    constructor(session, release) {
        this.session = session;
        this.#release = release;
    }
    get isDisposed() {
        return this.#isDisposed;
    }
    /** The room, as long as the handle is not disposed. */
    use() {
        if (this.#isDisposed)
            throw disposedError();
        return this.session;
    }
    /** Ends a subscription with the handle, when it does not end before. */
    own(subscription) {
        const owned = new Cleanup(() => {
            this.#owned.delete(owned);
            subscription.dispose();
        });
        this.#owned.add(owned);
        return owned;
    }
    dispose() {
        if (this.#isDisposed)
            return;
        this.#isDisposed = true;
        for (const owned of [...this.#owned])
            owned.dispose();
        this.#release();
    }
}
//# sourceMappingURL=handle.js.map