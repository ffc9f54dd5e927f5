// A text of a document.

import { checkFunction, checkIndex, checkString, wrongType } from './argument.js'
import type { Disposer } from './disposer.js'
import type { Handle } from './handle.js'

/** A step of a change: from the beginning of the text on, counted in UTF-16 code units. */
export type Delta =
  | { readonly insert: string }
  | { readonly delete: number }
  | { readonly retain: number }

/** How a text changed. */
export interface TextChange {
  /** What follows the last step stays as it is. */
  readonly delta: readonly Delta[]
  /** Whether the change was made through this client. */
  readonly local: boolean
}

/** A place in a text that moves with the characters around it; plain JSON, to be sent to others. */
export interface TextPosition {
  readonly type: null
  readonly tname: string
  readonly item: { readonly client: number; readonly clock: number } | null
  readonly assoc: number
}

/** A text; indexes and lengths count UTF-16 code units, as in strings. */
export class Text {
  readonly #handle: Handle
  readonly #name: string

  /** @internal */
  constructor(handle: Handle, name: string) {
    this.#handle = handle
    this.#name = name
  }

  get length(): number {
    return this.#handle.use().text(this.#name, text => text.length())
  }

  toString(): string {
    return this.#handle.use().text(this.#name, text => text.content())
  }

  insert(index: number, content: string): void {
    const at = checkIndex(index, 'the index')
    const checked = checkString(content, 'the content')
    this.#handle.use().edit(this.#name, text => {
      text.insert(at, checked)
    })
  }

  delete(index: number, length: number): void {
    const at = checkIndex(index, 'the index')
    const checked = checkIndex(length, 'the length')
    this.#handle.use().edit(this.#name, text => {
      text.delete(at, checked)
    })
  }

  /**
   * Calls a function after each change, the local ones included. The document may be ahead of the
   * change when several come together; the changes alone always tell the whole story, in order.
   */
  subscribe(listener: (change: TextChange) => void): Disposer {
    checkFunction(listener, 'the listener')
    return this.#handle.own(this.#handle.use().subscribe(this.#name, listener))
  }

  /** A position at an index; `side` says to which neighbor it sticks when text comes between. */
  position(index: number, side: 'left' | 'right' = 'right'): TextPosition {
    const at = checkIndex(index, 'the index')
    // Types promise nothing at run time.
    if (!['left', 'right'].includes(side)) throw wrongType('the side', "'left' or 'right'", side)
    const json = this.#handle.use().text(this.#name, text => text.position(at, side === 'left'))
    return JSON.parse(json) as TextPosition
  }

  /**
   * The index of a position now; `null` when it is none of this text, or one that has not arrived
   * here yet. Anything may be handed in, because positions come from others.
   */
  resolve(position: TextPosition | null | undefined): number | null {
    const json = typeof position === 'object' ? JSON.stringify(position) : 'null'
    return this.#handle.use().text(this.#name, text => text.resolve(json)) ?? null
  }
}
