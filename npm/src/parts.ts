// What can be read of every document: its parts by name, and all of them as plain data.

import type { SharedArray } from './array.js'
import { checkString } from './argument.js'
import { apiError } from './error.js'
import { Kind } from './kind.js'
import type { SharedMap } from './map.js'
import { type Holder, Nodes } from './nodes.js'
import type { SharedNode } from './shared.js'
import type { Text } from './text.js'
import type { XmlFragment } from './xml.js'

/** A name stands in each first edit of its type. */
const NAME_LENGTH_MAX = 1_000

/**
 * The parts of a document. They have names of at most 1,000 UTF-16 code units, and are there from the
 * beginning: whoever asks for one first does not matter. Asking throws `api.wrong_type` for a longer
 * name, what is no string, and a name that is used for another kind of type in this client's room,
 * `api.split_surrogate` for half of a character, and `api.disposed`.
 */
export abstract class DocParts {
  readonly #nodes: Nodes

  /** @internal */
  constructor(holder: Holder) {
    this.#nodes = new Nodes(holder)
  }

  /** A text of the document, by its name of at most 1,000 code units. */
  text(name: string): Text {
    return this.#root(Kind.text, name) as Text
  }

  /** A map of the document, by its name of at most 1,000 code units; the type parameter says what is in it. */
  map<T extends object = Record<string, unknown>>(name: string): SharedMap<T> {
    return this.#root(Kind.map, name) as SharedMap<T>
  }

  /** An array of the document, by its name of at most 1,000 code units; the type parameter says what is in it. */
  array<T = unknown>(name: string): SharedArray<T> {
    return this.#root(Kind.array, name) as SharedArray<T>
  }

  /** A tree of elements and texts, as editors of rich text use it, by its name of at most 1,000 code units. */
  xml(name: string): XmlFragment {
    return this.#root(Kind.xmlFragment, name) as XmlFragment
  }

  #root(kind: Kind, name: string): SharedNode {
    if (checkString(name, 'the name of the type').length > NAME_LENGTH_MAX) {
      throw apiError('api.wrong_type', `the name of a type has at most ${String(NAME_LENGTH_MAX)} characters`)
    }
    this.#nodes.session.claim(kind, name)
    return this.#nodes.get({ kind, name })
  }

  /**
   * All parts by name as plain data, each as its own `toJSON` gives it: those that were asked for in
   * this client so far, because a document does not say what the others are.
   */
  toJSON(): Record<string, unknown> {
    const parts = [...this.#nodes.session.claimed]
    return Object.fromEntries(parts.map(([name, kind]) => [name, this.#nodes.get({ kind, name }).toJSON()]))
  }

  /** The whole document as one Yjs update (v1). */
  abstract encodeState(): Uint8Array

  /**
   * Which edits the document has, as Yjs writes it with `Y.encodeSnapshot`: a few bytes without
   * content, for `doc.at` and `doc.equals`.
   */
  abstract snapshot(): Uint8Array
}
