// The document of a room.

import { checkFunction, checkString } from './argument.js'
import { apiError } from './error.js'
import type { Handle } from './handle.js'
import { Text } from './text.js'

/** The document of a room; to be used once `room.loaded` is there. */
export class Doc {
  readonly #handle: Handle

  /** @internal */
  constructor(handle: Handle) {
    this.#handle = handle
  }

  /** A text of the document, by its name. */
  text(name: string): Text {
    checkString(name, 'the name of the text')
    this.#handle.use()
    return new Text(this.#handle, name)
  }

  /**
   * Calls a function at once; its edits leave as one, and are one change for subscribers. What was
   * edited before the function throws stays edited.
   */
  transact<T>(change: () => T): T {
    checkFunction(change, 'the change')
    const result = this.#handle.use().transact(change)
    if (result instanceof Promise) {
      throw apiError('api.wrong_type', 'the change must not be async: it ends when it returns')
    }
    return result
  }
}
