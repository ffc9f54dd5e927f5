// A client: the rooms of one relay.
import { checkFunction, checkRoomName, checkUrl, checkUser, wrongType } from './argument.js';
import { takeSnapshot } from './debug.js';
import { Cleanup, makeDisposable } from './disposer.js';
import { apiError } from './error.js';
import { EventLog } from './event-log.js';
import { guardLeaving } from './leave-guard.js';
import { Listeners, report } from './listeners.js';
import { Room } from './room.js';
import { RoomSession } from './room-session.js';
import { Session } from './session.js';
/** The rooms of one relay, over one connection. */
export class Client {
    /** The address of the relay. */
    url;
    #session;
    #rooms = new Map();
    #guards = new Set();
    #listeners = {
        restarted: new Listeners(),
    };
    #isDisposed = false;
    static {
        makeDisposable(this.prototype);
    }
    /** @internal */
    constructor(platform, url, options) {
        this.url = checkUrl(url);
        const settings = { url: this.url, ...checkOptions(options, platform) };
        this.#session = new Session(platform, settings, error => {
            this.#listeners.restarted.notify(error);
        });
    }
    /**
     * A share in a room, to be disposed. `S` is what the app's peers show as presence.
     */
    room(name, options = {}) {
        if (this.#isDisposed)
            throw apiError('api.disposed', 'the client was disposed');
        checkRoomName(name);
        const refused = checkRefused(options);
        const shared = this.#rooms.get(name) ?? this.#share(name);
        this.#rooms.set(name, shared);
        if (refused !== undefined)
            shared.session.keepRefused(refused === 'keep');
        shared.shares += 1;
        return new Room(shared.session, () => {
            this.#release(name, shared);
        });
    }
    #share(name) {
        const session = new RoomSession(this.#session, name);
        return { session, log: new EventLog(session.listeners), shares: 0 };
    }
    /** Everything a developer needs when somebody says that it does not save, as plain JSON. */
    debug() {
        return takeSnapshot(this.url, this.#session, this.#rooms.values());
    }
    /**
     * Asks before the page is left, as long as an edit in a room of this client would be lost; or, by
     * choice, as long as one is not durable. Ends with the client, if it is not disposed before.
     */
    guardLeaving(options = {}) {
        if (this.#isDisposed)
            throw apiError('api.disposed', 'the client was disposed');
        const rooms = () => [...this.#rooms.values()].map(it => it.session);
        const guard = guardLeaving(this.#session, rooms, options);
        this.#guards.add(guard);
        return new Cleanup(() => {
            this.#guards.delete(guard);
            guard.dispose();
        });
    }
    /** Calls a function when something happens. */
    on(event, listener) {
        checkFunction(listener, 'the listener');
        if (!Object.hasOwn(this.#listeners, event)) {
            throw wrongType('the event', `one of ${Object.keys(this.#listeners).join(', ')}`, event);
        }
        return this.#listeners[event].add(listener);
    }
    /** The room stays for whoever asks again at once, as frameworks do that mount twice. */
    #release(name, shared) {
        shared.shares -= 1;
        queueMicrotask(() => {
            if (shared.shares > 0 || this.#rooms.get(name) !== shared)
                return;
            this.#rooms.delete(name);
            shared.session.close();
        });
    }
    /** Leaves all rooms and closes the connection. Edits so far are sent before. */
    dispose() {
        if (this.#isDisposed)
            return;
        this.#isDisposed = true;
        for (const guard of this.#guards)
            guard.dispose();
        for (const { session } of this.#rooms.values()) {
            try {
                session.close();
            }
            catch (error) {
                report(error);
            }
        }
        this.#rooms.clear();
        this.#session.dispose();
        for (const listeners of Object.values(this.#listeners))
            listeners.clear();
    }
}
function checkRefused(options) {
    if (typeof options !== 'object' || options === null) {
        throw wrongType('the options', 'an object', options);
    }
    const { refused } = options;
    if (refused !== undefined && !['set-aside', 'keep'].includes(refused)) {
        throw wrongType('options.refused', "'set-aside' or 'keep'", refused);
    }
    return refused;
}
function checkOptions(options, platform) {
    if (typeof options !== 'object' || options === null) {
        throw wrongType('the options', 'an object', options);
    }
    const { token, storage = 'device', user, webSocket } = options;
    if (token !== undefined)
        checkFunction(token, 'options.token');
    if (!['device', 'memory'].includes(storage)) {
        throw wrongType('options.storage', "'device' or 'memory'", storage);
    }
    if (user !== undefined)
        checkUser(user);
    const constructor = webSocket ?? platform.webSocket;
    if (typeof constructor !== 'function') {
        throw wrongType('options.webSocket', 'a constructor (there is no own one here)', constructor);
    }
    return { token, storage, user, webSocket: constructor };
}
//# sourceMappingURL=client.js.map