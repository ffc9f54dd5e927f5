// Asks before the page is left, as long as there is something to lose.
import { wrongType } from './argument.js';
import { Cleanup } from './disposer.js';
/** Watches the rooms of a session; without a page (Node, workers) there is nothing to leave. */
export function guardLeaving(session, rooms, options) {
    if (typeof options !== 'object' || options === null) {
        throw wrongType('the options', 'an object', options);
    }
    const { until = 'device' } = options;
    if (!['device', 'durable'].includes(until)) {
        throw wrongType('options.until', "'device' or 'durable'", until);
    }
    const page = globalThis.window;
    if (page === undefined)
        return new Cleanup(() => undefined);
    const isAtRisk = () => {
        for (const room of rooms()) {
            const { saved, isOnDevice } = room.view;
            if (saved.tier !== 'durable' && !(until === 'device' && isOnDevice))
                return true;
        }
        return false;
    };
    const ask = (event) => {
        event.preventDefault();
        // What browsers of 2023 and before look at.
        event.returnValue = true;
    };
    // A listener keeps the page out of the browser's back/forward cache: it is there only when needed.
    let isListening = false;
    const watch = (wanted) => {
        if (wanted === isListening)
            return;
        isListening = wanted;
        if (wanted)
            page.addEventListener('beforeunload', ask);
        else
            page.removeEventListener('beforeunload', ask);
    };
    const subscription = session.settled.add(() => { watch(isAtRisk()); });
    watch(isAtRisk());
    return new Cleanup(() => {
        subscription.dispose();
        watch(false);
    });
}
//# sourceMappingURL=leave-guard.js.map