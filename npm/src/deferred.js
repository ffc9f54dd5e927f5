// A promise that is settled from outside.
/** Settled once; nobody has to handle its rejection. */
export class Deferred {
    promise;
    #resolve;
    #reject;
    constructor() {
        this.promise = new Promise((resolve, reject) => {
            this.#resolve = resolve;
            this.#reject = reject;
        });
        // An app that does not wait must not see an "unhandled rejection".
        this.promise.catch(() => undefined);
    }
    resolve(value) {
        this.#resolve(value);
    }
    reject(error) {
        this.#reject(error);
    }
}
//# sourceMappingURL=deferred.js.map