// A text of a document.

import { checkFunction, checkIndex, checkLength, checkString } from './argument.js'
import type { ChangeSource, Delta, Formats } from './delta.js'
import type { Disposer } from './disposer.js'
import type { Position } from './position.js'
import { SharedSequence, toDelta } from './shared.js'
import { deltaJson, formatJson } from './value.js'

/** More at once is no text that somebody pasted. */
const INSERT_LENGTH_MAX = 64 << 20

/** How a text changed. */
export interface TextChange extends ChangeSource {
  /** What follows the last step stays as it is. */
  readonly delta: readonly Delta[]
}

/** A place in a text that moves with the characters around it. */
export type TextPosition = Position

/**
 * A text; indexes and lengths count UTF-16 code units, as in strings. What is embedded counts one,
 * and stands as U+FFFC in the string.
 */
export class Text extends SharedSequence {
  /** What it is. */
  declare readonly kind: 'text' | 'xmlText'

  /** The text without formats. */
  override toString(): string {
    return this.nodes.session.use(this.id, node => node.text())
  }

  /** The text without formats. */
  override toJSON(): string {
    return this.toString()
  }

  /** The text with its formats and what is embedded: steps that insert. */
  toDelta(): readonly Delta[] {
    return this.read(this.nodes.session.use(this.id, node => node.delta())) as readonly Delta[]
  }

  /**
   * Inserts text. Without `formats` it takes on those of what is before it, with them it has exactly
   * those. Throws `api.out_of_range` beyond the end, `api.split_surrogate` in the middle of a
   * character or for half of one, `api.wrong_type` for what is no string, or formats that are no plain
   * data, `api.too_deep` for formats of more than 40 levels, and `update.too_large` above 64 Mi code
   * units (with `formats`, above 3 MiB of JSON).
   */
  insert(index: number, content: string, formats?: Formats): void {
    const at = checkIndex(index, 'the index')
    const checked = checkLength(checkString(content, 'the content'), INSERT_LENGTH_MAX, 'the content')
    if (formats !== undefined) {
      this.applyDelta([{ retain: at }, { insert: checked, attributes: formats }])
      return
    }
    this.nodes.session.edit(this.id, node => {
      node.insertText(at, checked)
    })
  }

  /**
   * Inserts an object, or a new shared type, which counts as one character. Throws as `insert`;
   * `api.wrong_type` also for bytes inside of an object, and `api.too_deep` for shared types of more
   * than 200 levels.
   */
  embed(index: number, content: object, formats: Formats = {}): void {
    const at = checkIndex(index, 'the index')
    this.applyDelta([{ retain: at }, { insert: content, attributes: formats }])
  }

  /** Gives formats to a part of the text; `null` takes one away. Throws as `insert`. */
  format(index: number, length: number, formats: Formats): void {
    const at = checkIndex(index, 'the index')
    const checked = checkIndex(length, 'the length')
    this.#apply(formatJson(at, checked, formats))
  }

  /**
   * Makes a change of several steps. What is inserted has exactly the formats that are given. Throws
   * as `insert` and `embed`, and `update.too_large` above 3 MiB of JSON.
   */
  applyDelta(delta: readonly Delta[]): void {
    this.#apply(deltaJson(delta, 'the delta'))
  }

  #apply(json: string): void {
    this.nodes.session.edit(this.id, node => {
      node.apply(json)
    })
  }

  /**
   * Calls a function after each transaction that changed the text, the local ones included. The
   * document may be ahead of the change when several come together; the changes alone always tell
   * the whole story, in order.
   */
  subscribe(listener: (change: TextChange) => void): Disposer {
    checkFunction(listener, 'the listener')
    return this.subscribeView(view => {
      const { local, origin } = view
      const delta = toDelta(view, this.nodes) as readonly Delta[]
      if (delta.length > 0) listener({ delta, local, origin })
    })
  }
}
