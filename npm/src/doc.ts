// The document of a room.

import type { SharedArray } from './array.js'
import { checkBytes, checkFunction, checkString, wrongType } from './argument.js'
import type { Disposer } from './disposer.js'
import { apiError } from './error.js'
import type { Handle } from './handle.js'
import { Kind } from './kind.js'
import type { SharedMap } from './map.js'
import { Nodes } from './nodes.js'
import type { SharedNode } from './shared.js'
import type { Text } from './text.js'
import { Undo, type UndoOptions } from './undo.js'
import type { UpdateListener } from './updates.js'
import type { XmlFragment } from './xml.js'

/** A name stands in each first edit of its type. */
const NAME_LENGTH_MAX = 1_000

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
    if (checkString(name, 'the name of the type').length > NAME_LENGTH_MAX) {
      throw apiError('api.wrong_type', `the name of a type has at most ${String(NAME_LENGTH_MAX)} characters`)
    }
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

  /** Gathers edits of some types from here on, so that they can be undone. */
  undo(options: UndoOptions): Undo {
    return new Undo(this.#handle, options)
  }

  /** The whole document as one Yjs update (v1). */
  encodeState(): Uint8Array {
    return this.#handle.use().document(room => room.state())
  }

  /** The document's Yjs state vector: how far it has what each client wrote. */
  encodeStateVector(): Uint8Array {
    return this.#handle.use().document(room => room.stateVector())
  }

  /** What a Yjs document with this state vector lacks, as one update (v1). */
  encodeDifference(stateVector: Uint8Array): Uint8Array {
    const checked = checkBytes(stateVector, 'the state vector')
    return this.#handle.use().document(room => room.difference(checked))
  }

  /**
   * Brings an update of any Yjs document (v1) into this one, as an edit of this client: what is new
   * in it is stored and sent like everything else. Throws `update.missing_dependencies` when it
   * needs something that is not here. `origin` is what listeners are given with it.
   */
  applyUpdate(update: Uint8Array, origin?: unknown): void {
    this.#handle.use().applyUpdate(checkBytes(update, 'the update'), origin)
  }

  /**
   * Calls a function with each update (v1) that comes into the document from here on, own edits
   * included, in order. A transaction may come as several of them. After `set-aside` the first one is
   * the whole document that took the place of the one before.
   */
  on(event: 'update', listener: UpdateListener): Disposer {
    // Types promise nothing at run time.
    if (!['update'].includes(event)) throw wrongType('the event', "'update'", event)
    checkFunction(listener, 'the listener')
    return this.#handle.own(this.#handle.use().onUpdate(listener))
  }
}
