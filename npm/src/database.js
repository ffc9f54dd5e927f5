// The browser's database before the wasm module is there: woken early, because it sleeps deeply.
/** As the module calls it. */
const NAME = 'coweave';
/**
 * Lets the browser get its database ready while the module is on its way; opening it costs as much time
 * as compiling the module. Nothing is made here: the module lays out what it needs.
 */
export function wakeDatabase() {
    // The module tells whatever is wrong with it.
    try {
        const request = globalThis.indexedDB?.open(NAME);
        if (request === undefined)
            return;
        request.onupgradeneeded = () => request.transaction?.abort();
        request.onsuccess = () => {
            request.result.close();
        };
        request.onerror = event => {
            event.preventDefault();
        };
    }
    catch {
        return;
    }
}
//# sourceMappingURL=database.js.map