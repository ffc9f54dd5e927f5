// One instance of the wasm module, until it traps.

import { type WasmClasses, instantiate } from './wasm.js'

/** Another instance takes no more stack than these calls to be started and to take over. */
const CALLS_MIN = 2_000

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
  #isOver = false

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
        if (call !== undefined && this.#isRunning) return call(...values)
      } catch (cause) {
        // There may be no stack for any call, and what is noted here is noted for whoever comes next.
        if (this.#isRunning) {
          this.#isRunning = false
          this.#cause = cause
        }
        queueMicrotask(this.#finish)
      }
      this.#finish()
      // The browser and the garbage collector may still call; nobody there can do anything about it.
      if (isCallback) return []
      throw this.#cause
    }
  }

  /** Once there is stack for it, which an app may have used up: lets go, and says so. */
  readonly #finish = (): void => {
    if (this.#isOver || !hasStack(CALLS_MIN)) return
    this.release()
    this.#onTrap(this.#cause)
  }

  /** Lets go of the memory. */
  release(): void {
    this.#isOver = true
    this.#isRunning = false
    for (const release of this.#onRelease.splice(0)) release()
    for (const [name, value] of Object.entries(this.#guarded)) {
      if (typeof value !== 'function') delete this.#guarded[name]
    }
    // A trap at the start leaves none.
    ;(this.classes as WasmClasses | undefined)?.release()
  }
}

/** Whether so many calls can be made, one within the other. */
function hasStack(calls: number): boolean {
  try {
    return calls === 0 || hasStack(calls - 1)
  } catch {
    return false
  }
}
