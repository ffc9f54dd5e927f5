// One instance of the wasm module, until it traps.

import { type WasmClasses, instantiate } from './wasm.js'

/** A function of the module. */
type Call = (...values: readonly unknown[]) => unknown

/** Of no use any more once something was thrown out of it: it was left in the middle of its work. */
export class Instance {
  readonly classes: WasmClasses
  readonly #onTrap: (cause: unknown) => void
  /** What the module's JavaScript uses: without a hold on the instance of its own. */
  readonly #guarded: Record<string, WebAssembly.ExportValue> = {}
  readonly #onRelease: (() => void)[] = []
  #isRunning = false
  #cause: unknown

  /** `onTrap` is called once, when the instance is let go of. */
  constructor(module: WebAssembly.Module, onTrap: (cause: unknown) => void) {
    this.#onTrap = onTrap
    this.classes = instantiate(module, exports => this.#guard(exports))
  }

  #guard(exports: WebAssembly.Exports): WebAssembly.Exports {
    this.#isRunning = true
    for (const [name, value] of Object.entries(exports)) {
      this.#guarded[name] = typeof value === 'function' ? this.#guardOne(name, value as Call) : value
    }
    return this.#guarded
  }

  #guardOne(name: string, exported: Call): Call {
    const isCallback = /^wasm_bindgen__|_free$|^__wbindgen_destroy/.test(name)
    // Held by nobody else, so that the memory can be let go of.
    let call: Call | undefined = exported
    this.#onRelease.push(() => {
      call = undefined
    })
    return (...values) => {
      try {
        if (call !== undefined) return call(...values)
      } catch (cause) {
        this.#end(cause)
      }
      // The browser and the garbage collector may still call; nobody there can do anything about it.
      if (isCallback) return []
      throw this.#cause
    }
  }

  #end(cause: unknown): void {
    if (!this.#isRunning) return
    this.#cause = cause
    this.release()
    this.#onTrap(cause)
  }

  /** Lets go of the memory. */
  release(): void {
    this.#isRunning = false
    for (const release of this.#onRelease.splice(0)) release()
    for (const [name, value] of Object.entries(this.#guarded)) {
      if (typeof value !== 'function') delete this.#guarded[name]
    }
    // A trap at the start leaves none.
    ;(this.classes as WasmClasses | undefined)?.release()
  }
}
