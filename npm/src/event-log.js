// What last happened in a room, for whoever looks later: `client.debug()`.
import { CoweaveError, toDetails } from './error.js';
const EVENTS_MAX = 20;
/** The last events of a room; never what was written. */
export class EventLog {
    #events = [];
    constructor(listeners) {
        for (const [event, of] of Object.entries(listeners)) {
            // It changes with every letter, and what counts is how it is now.
            if (event !== 'saved')
                of.add(value => { this.#note(event, value); });
        }
    }
    get events() {
        return [...this.#events];
    }
    #note(event, value) {
        const { state, error } = Object(value);
        const now = typeof value === 'string' ? value : state;
        const known = value instanceof CoweaveError ? value : error;
        this.#events.push({
            at: Date.now(),
            event,
            ...typeof now === 'string' && { state: now },
            ...known instanceof CoweaveError && { error: toDetails(known) },
        });
        if (this.#events.length > EVENTS_MAX)
            this.#events.shift();
    }
}
//# sourceMappingURL=event-log.js.map