// What ends a subscription or a handle.

// So that apps need no newer `lib` to compile.
/// <reference lib="esnext.disposable" preserve="true" />

/** Ends something; to call it twice does no harm. */
export interface Disposer {
  /** Ends it; throws nothing. */
  dispose(): void
  /** What `using` calls; only in engines that have the symbol. */
  [Symbol.dispose](): void
}

/** Gives a class what `using` calls, where the engine has the symbol. */
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

  /** As `dispose`, for `using`. */
  declare [Symbol.dispose]: () => void

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
