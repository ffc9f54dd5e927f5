// An array of a document.

import { checkFunction, checkIndex } from './argument.js'
import type { ChangeSource, SequenceDelta } from './delta.js'
import type { Disposer } from './disposer.js'
import type { Input } from './new.js'
import { SharedSequence, toDelta } from './shared.js'
import { contentsJson } from './value.js'

/** How an array, or the children of an element or a fragment, changed. */
export interface ArrayChange<T> extends ChangeSource {
  /** What follows the last step stays as it is. */
  readonly delta: readonly SequenceDelta<T>[]
}

/** A list that several people can change: plain values, and shared types. */
export class SharedArray<T = unknown> extends SharedSequence implements Iterable<T> {
  /** What it is. */
  declare readonly kind: 'array'

  /** The entry at an index, from 0 on; `undefined` when there is none. */
  get(index: number): T | undefined {
    const at = checkIndex(index, 'the index')
    const json = this.nodes.session.use(this.id, node => node.get(at))
    return json === undefined ? undefined : this.read(json) as T
  }

  /**
   * Inserts entries before the one at an index, which may be the length. Throws `api.out_of_range`
   * beyond it, `api.wrong_type` for what is no plain data, `api.split_surrogate` for half of a character,
   * `api.too_deep` for values of more than 40 levels, or shared types of more than 200, and
   * `update.too_large` above 3 MiB of JSON.
   */
  insert(index: number, ...items: readonly Input<T>[]): void {
    this.insertAll(index, items)
  }

  /** Inserts a list of entries, which may be longer than a call can have arguments; throws as `insert`. */
  insertAll(index: number, items: readonly Input<T>[]): void {
    const at = checkIndex(index, 'the index')
    const json = contentsJson(items, 'an entry')
    this.nodes.session.edit(this.id, node => {
      node.insert(at, json)
    })
  }

  /** Adds entries at the end; throws as `insert`. */
  push(...items: readonly Input<T>[]): void {
    this.insertAll(this.length, items)
  }

  /** All entries. */
  toArray(): T[] {
    return this.read(this.nodes.session.use(this.id, node => node.items())) as T[]
  }

  /** Goes through what is in it now. */
  [Symbol.iterator](): Iterator<T> {
    return this.toArray()[Symbol.iterator]()
  }

  /** All entries, and everything inside them, as plain data. */
  override toJSON(): unknown[] {
    return super.toJSON() as unknown[]
  }

  /**
   * Calls a function after each transaction that changed the array, the local ones included; see
   * `Text.subscribe` for when.
   */
  subscribe(listener: (change: ArrayChange<T>) => void): Disposer {
    checkFunction(listener, 'the listener')
    return this.subscribeView(view => {
      const { local, origin } = view
      listener({ delta: toDelta(view, this.nodes) as SequenceDelta<T>[], local, origin })
    })
  }
}
