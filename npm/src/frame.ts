// Calls at most once per animation frame.

const FRAME_MS = 16

/** Calls a function in the next animation frame; soon, where nothing is drawn. */
export class FrameSchedule {
  #cancel: (() => void) | undefined
  readonly #call: () => void

  constructor(call: () => void) {
    this.#call = call
  }

  request(): void {
    if (this.#cancel !== undefined) return
    const run = (): void => {
      this.#cancel = undefined
      this.#call()
    }
    // Hidden pages get no frames, but their listeners may do more than draw.
    if (typeof document !== 'undefined' && document.visibilityState === 'visible') {
      const id = requestAnimationFrame(run)
      this.#cancel = () => {
        cancelAnimationFrame(id)
      }
    } else {
      const id = setTimeout(run, FRAME_MS)
      this.#cancel = () => {
        clearTimeout(id)
      }
    }
  }

  cancel(): void {
    this.#cancel?.()
    this.#cancel = undefined
  }
}
