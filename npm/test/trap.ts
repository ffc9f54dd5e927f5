// Instances of the wasm module that trap when a test wants it.

import type { TestContext } from 'node:test'

type Callable = (...values: readonly unknown[]) => unknown

/** Where an instance traps: as it is called by this name, or as it calls its JavaScript. */
export class Traps {
  /** How many instances there were. */
  count = 0
  /** The next call in whose name this is, in the middle of the work of the module, is a trap. */
  inside: string | undefined
  /** All calls in whose names this is, in the middle of the work of the module, are traps. */
  alwaysInside: string | undefined
  /** All calls of this export are traps. */
  readonly always: Set<string> = new Set<string>()

  /** From here to the end of the test. */
  static set(t: TestContext): Traps {
    const traps = new Traps()
    const real = WebAssembly.Instance
    WebAssembly.Instance = new Proxy(real, {
      construct: (_, [module, imports]: [WebAssembly.Module, WebAssembly.Imports]) =>
        traps.#instance(real, module, imports),
    })
    t.after(() => {
      WebAssembly.Instance = real
    })
    return traps
  }

  #instance(
    real: typeof WebAssembly.Instance,
    module: WebAssembly.Module,
    imports: WebAssembly.Imports,
  ): object {
    this.count += 1
    const patched = Object.entries(imports).map(([name, functions]) => [
      name,
      Object.fromEntries(Object.entries(functions).map(([key, value]) => [
        key,
        this.#before(value, () => {
          const isHere = (name: string | undefined): boolean => name !== undefined && key.includes(`_${name}_`)
          if (!isHere(this.inside) && !isHere(this.alwaysInside)) return
          this.inside = undefined
          throw new WebAssembly.RuntimeError('unreachable')
        }),
      ])),
    ])
    const { exports } = new real(module, Object.fromEntries(patched) as WebAssembly.Imports)
    const allocate = exports['__wbindgen_malloc'] as Callable
    return {
      exports: Object.fromEntries(Object.entries(exports).map(([key, value]) => [
        key,
        this.#before(value, () => {
          // More than there can be: a trap of the module's own.
          if (this.always.has(key)) allocate(-1, 1)
        }),
      ])),
    }
  }

  #before(value: unknown, look: () => void): unknown {
    if (typeof value !== 'function') return value
    return (...values: readonly unknown[]) => {
      look()
      return (value as Callable)(...values)
    }
  }
}
