// What ends a subscription or a handle.

/** Ends something; to call it twice does no harm. Works with `using` where the engine has it. */
export interface Disposer {
  /** Ends it; throws nothing. */
  dispose(): void
}

/**
 * Gives a class `Symbol.dispose` where the engine has it. Not part of the types: apps would need
 * a newer `lib` to compile.
 */
export function makeDisposable(prototype: Disposer): void {
  const symbol = (Symbol as { readonly dispose?: symbol }).dispose
  if (symbol === undefined) return
  Object.defineProperty(prototype, symbol, {
    configurable: true,
    value(this: Disposer): void {
      this.dispose()
    },
  })
}

/** A disposer that calls a function once. */
export class Cleanup implements Disposer {
  #cleanup: (() => void) | undefined

  static {
    makeDisposable(this.prototype)
  }

  constructor(cleanup: () => void) {
    this.#cleanup = cleanup
  }

  dispose(): void {
    const cleanup = this.#cleanup
    this.#cleanup = undefined
    cleanup?.()
  }
}
