// How the tabs of a browser reach each other: channels to talk, and locks that tell who is alive and
// who leads.
/** This tab among the others with the same name. */
export class BrowserTabs {
    /** Of this tab; no other one has it. */
    id;
    /** The way to the others, for the module. */
    way = {
        post: (to, message) => {
            this.#post(to, message);
        },
        watch: id => {
            this.#watch(id);
        },
        forget: id => {
            this.#desks.get(id)?.close();
            this.#desks.delete(id);
        },
    };
    /** The channel that all hear, and the lock of the leader. */
    #name;
    #locks;
    #hall;
    /** The channels that one tab hears: this one and the others, by their ids. */
    #desks = new Map();
    /** Ends requests for locks that were not granted. */
    #waiting = new AbortController();
    #release = () => undefined;
    /** How long the locks of this tab are held. */
    #held = new Promise(resolve => {
        this.#release = resolve;
    });
    #module;
    /** `undefined` where there is no page, or no way to reach others. */
    static find(name) {
        const isPossible = 'document' in globalThis && 'BroadcastChannel' in globalThis;
        const locks = isPossible ? navigator.locks : undefined;
        try {
            return locks && new BrowserTabs(name, locks);
        }
        catch {
            // A browser that keeps nothing may let nobody talk either.
            return undefined;
        }
    }
    constructor(name, locks) {
        const [high = 0, low = 0] = crypto.getRandomValues(new Uint32Array(2));
        this.id = (high >>> 11) * 2 ** 32 + low;
        this.#name = name;
        this.#locks = locks;
        this.#hall = new BroadcastChannel(name);
    }
    /** Gives what comes to the module from here on. */
    enter(module) {
        this.#module = module;
        const hear = ({ data }) => {
            if (data instanceof Uint8Array)
                this.#module?.tabHeard(data);
        };
        this.#hall.addEventListener('message', hear);
        this.#desk(this.id).addEventListener('message', hear);
        this.#hold(this.#lockOf(this.id), () => this.#module?.tabReady());
        this.#hold(this.#name, () => this.#module?.tabLeads());
    }
    /** Leaves the others, who learn of it. */
    leave() {
        this.#module = undefined;
        this.#waiting.abort();
        this.#release();
        this.#hall.close();
        for (const desk of this.#desks.values())
            desk.close();
        this.#desks.clear();
    }
    #hold(lock, granted) {
        this.#request(lock, 'exclusive', () => {
            granted();
            return this.#held;
        });
    }
    /** The lock that a tab holds can be had when that tab is no more. */
    #watch(id) {
        this.#request(this.#lockOf(id), 'shared', () => {
            this.#module?.tabGone(id);
        });
    }
    #request(lock, mode, granted) {
        const { signal } = this.#waiting;
        // A request that fails is one of a tab that leaves, or of a page that may have no locks.
        this.#locks.request(lock, { mode, signal }, async () => granted()).catch(() => undefined);
    }
    #post(to, message) {
        const channel = to === undefined ? this.#hall : this.#desk(to);
        channel.postMessage(message);
    }
    #desk(id) {
        const desk = this.#desks.get(id) ?? new BroadcastChannel(`${this.#name} to ${id}`);
        this.#desks.set(id, desk);
        return desk;
    }
    #lockOf(id) {
        return `${this.#name} tab ${id}`;
    }
}
//# sourceMappingURL=browser-tabs.js.map