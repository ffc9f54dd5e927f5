// Functions of the app that want to hear of something.

import { Cleanup, type Disposer } from './disposer.js'

/** A set of listeners; the same function may be in it more than once. */
export class Listeners<T> {
  readonly #listeners = new Set<{ readonly call: (value: T) => void }>()

  get isEmpty(): boolean {
    return this.#listeners.size === 0
  }

  get size(): number {
    return this.#listeners.size
  }

  add(call: (value: T) => void): Disposer {
    const listener = { call }
    this.#listeners.add(listener)
    return new Cleanup(() => this.#listeners.delete(listener))
  }

  /** Calls all that are still there when it is their turn; what one throws disturbs nobody. */
  notify(value: T): void {
    if (this.isEmpty) return
    for (const listener of [...this.#listeners]) {
      if (!this.#listeners.has(listener)) continue
      try {
        listener.call(value)
      } catch (error) {
        report(error)
      }
    }
  }

  clear(): void {
    this.#listeners.clear()
  }
}

/** Shows an error of the app as uncaught, where that does not end the process. */
export function report(error: unknown): void {
  if (typeof reportError === 'function') reportError(error)
  else console.error(error)
}
