// Functions of the app that want to hear of something.
import { Cleanup } from './disposer.js';
/** A set of listeners; the same function may be in it more than once. */
export class Listeners {
    #listeners = new Set();
    get isEmpty() {
        return this.#listeners.size === 0;
    }
    get size() {
        return this.#listeners.size;
    }
    add(call) {
        const listener = { call };
        this.#listeners.add(listener);
        return new Cleanup(() => this.#listeners.delete(listener));
    }
    /** Calls all that are still there when it is their turn; what one throws disturbs nobody. */
    notify(value) {
        for (const listener of [...this.#listeners]) {
            if (!this.#listeners.has(listener))
                continue;
            try {
                listener.call(value);
            }
            catch (error) {
                report(error);
            }
        }
    }
    clear() {
        this.#listeners.clear();
    }
}
/** Shows an error of the app as uncaught, where that does not end the process. */
export function report(error) {
    if (typeof reportError === 'function')
        reportError(error);
    else
        console.error(error);
}
//# sourceMappingURL=listeners.js.map