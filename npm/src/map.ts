// A map of a document.

import { checkFunction } from './argument.js'
import type { ChangeSource, KeyChange } from './delta.js'
import type { Disposer } from './disposer.js'
import type { Input } from './new.js'
import { SharedNode, toKeys } from './shared.js'
import { checkKey, checkName, contentJson } from './value.js'

/** How a map changed. */
export interface MapChange extends ChangeSource {
  /** The entries that are different now. */
  readonly keys: ReadonlyMap<string, KeyChange>
}

/** Entries by key that several people can change: plain values, and shared types. */
export class SharedMap<T extends object = Record<string, unknown>> extends SharedNode {
  /** What it is. */
  declare readonly kind: 'map'

  /** The entry of a key; `undefined` when there is none. */
  get<K extends keyof T & string>(key: K): T[K] | undefined {
    const name = checkName(key)
    const json = this.nodes.session.use(this.id, node => node.getEntry(name))
    return json === undefined ? undefined : this.read(json) as T[K]
  }

  /** Whether a key has an entry. */
  has(key: string): boolean {
    const name = checkName(key)
    return this.nodes.session.use(this.id, node => node.hasEntry(name))
  }

  /**
   * Sets an entry. Throws `api.wrong_type` for the key U+0000, and for what is no plain data,
   * `api.split_surrogate` for half of a character, `api.too_deep` for values of more than 40 levels, or
   * shared types of more than 200, and `update.too_large` for a key, or JSON, of more than 3 MiB.
   */
  set<K extends keyof T & string>(key: K, value: Input<T[K]>): void {
    const name = checkKey(key)
    const json = contentJson(value, `the entry ${name}`)
    this.nodes.session.edit(this.id, node => {
      node.setEntry(name, json)
    })
  }

  /** Deletes an entry, when there is one. Throws `api.wrong_type` and `api.split_surrogate` for what is no key. */
  delete(key: string): void {
    const name = checkName(key)
    this.nodes.session.edit(this.id, node => {
      node.deleteEntry(name)
    })
  }

  /** All entries, by key, sorted as `keys` has them. */
  entries(): Partial<T> {
    return this.read(this.nodes.session.use(this.id, node => node.entries())) as Partial<T>
  }

  /** All keys: whole numbers first, from the smallest on, and then the others, sorted by code points. */
  keys(): (keyof T & string)[] {
    const names = this.nodes.session.use(this.id, node => node.entryNames())
    // In the order that they have as keys of an object: numbers come first.
    const keys = Object.fromEntries((JSON.parse(names) as string[]).map(name => [name, true]))
    return Object.keys(keys) as (keyof T & string)[]
  }

  /** How many entries there are. */
  get size(): number {
    return this.nodes.session.use(this.id, node => node.entryCount())
  }

  /** All entries, and everything inside them, as plain data. */
  override toJSON(): Record<string, unknown> {
    return super.toJSON() as Record<string, unknown>
  }

  /**
   * Calls a function after each transaction that changed the map, the local ones included; see
   * `Text.subscribe` for when.
   */
  subscribe(listener: (change: MapChange) => void): Disposer {
    checkFunction(listener, 'the listener')
    return this.subscribeView(view => {
      const { local, origin } = view
      listener({ keys: toKeys(view, this.nodes), local, origin })
    })
  }
}
