// The document of a room.

import type { SharedArray } from './array.js'
import { checkFunction, checkString } from './argument.js'
import { apiError } from './error.js'
import type { Handle } from './handle.js'
import { Kind } from './kind.js'
import type { SharedMap } from './map.js'
import { Nodes } from './nodes.js'
import type { SharedNode } from './shared.js'
import type { Text } from './text.js'
import type { XmlFragment } from './xml.js'

/**
 * The document of a room; to be used once `room.loaded` is there. Its parts have names, and are there
 * from the beginning: whoever asks for one first does not matter.
 */
export class Doc {
  readonly #handle: Handle
  readonly #nodes: Nodes

  /** @internal */
  constructor(handle: Handle) {
    this.#handle = handle
    this.#nodes = new Nodes(handle)
  }

  /** A text of the document, by its name. */
  text(name: string): Text {
    return this.#root(Kind.text, name) as Text
  }

  /** A map of the document, by its name; the type parameter says what is in it. */
  map<T extends object = Record<string, unknown>>(name: string): SharedMap<T> {
    return this.#root(Kind.map, name) as SharedMap<T>
  }

  /** An array of the document, by its name; the type parameter says what is in it. */
  array<T = unknown>(name: string): SharedArray<T> {
    return this.#root(Kind.array, name) as SharedArray<T>
  }

  /** A tree of elements and texts, as editors of rich text use it, by its name. */
  xml(name: string): XmlFragment {
    return this.#root(Kind.xmlFragment, name) as XmlFragment
  }

  #root(kind: Kind, name: string): SharedNode {
    checkString(name, 'the name of the type')
    this.#handle.use().claim(kind, name)
    return this.#nodes.get({ kind, name })
  }

  /**
   * Calls a function at once; its edits leave as one, and are one change for subscribers, who are
   * told `origin` with it. What was edited before the function throws stays edited.
   */
  transact<T>(change: () => T, origin?: unknown): T {
    checkFunction(change, 'the change')
    const result = this.#handle.use().transact(change, origin)
    if (result instanceof Promise) {
      throw apiError('api.wrong_type', 'the change must not be async: it ends when it returns')
    }
    return result
  }
}
