// What ends a subscription or a handle.
/**
 * Gives a class `Symbol.dispose` where the engine has it. Not part of the types: apps would need
 * a newer `lib` to compile.
 */
export function makeDisposable(prototype) {
    const symbol = Symbol.dispose;
    if (symbol === undefined)
        return;
    Object.defineProperty(prototype, symbol, {
        configurable: true,
        value() {
            this.dispose();
        },
    });
}
/** A disposer that calls a function once. */
export class Cleanup {
    #cleanup;
    static {
        makeDisposable(this.prototype);
    }
    constructor(cleanup) {
        this.#cleanup = cleanup;
    }
    dispose() {
        const cleanup = this.#cleanup;
        this.#cleanup = undefined;
        cleanup?.();
    }
}
//# sourceMappingURL=disposer.js.map