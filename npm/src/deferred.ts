// A promise that is settled from outside.

/** Settled once; nobody has to handle its rejection. */
export class Deferred<T> {
  readonly promise: Promise<T>
  #resolve!: (value: T) => void
  #reject!: (error: Error) => void

  constructor() {
    this.promise = new Promise<T>((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    // An app that does not wait must not see an "unhandled rejection".
    this.promise.catch(() => undefined)
  }

  resolve(value: T): void {
    this.#resolve(value)
  }

  reject(error: Error): void {
    this.#reject(error)
  }
}
