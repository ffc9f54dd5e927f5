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
   * Sets an entry. Throws `api.wrong_type`, `api.too_deep` or `api.split_surrogate` for what no
   * document can hold, and `update.too_large` above 3 MiB of JSON.
   */
  set<K extends keyof T & string>(key: K, value: Input<T[K]>): void {
    const name = checkKey(key)
    const json = contentJson(value, `the entry ${name}`)
    this.nodes.session.edit(this.id, node => {
      node.setEntry(name, json)
    })
  }

  /** Deletes an entry, when there is one. */
  delete(key: string): void {
    const name = checkName(key)
    this.nodes.session.edit(this.id, node => {
      node.deleteEntry(name)
    })
  }

  /** All entries, by key. */
  entries(): Partial<T> {
    return this.read(this.nodes.session.use(this.id, node => node.entries())) as Partial<T>
  }

  /** All keys, in their order. */
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

  /** Calls a function after each transaction that changed the map, the local ones included. */
  subscribe(listener: (change: MapChange) => void): Disposer {
    checkFunction(listener, 'the listener')
    return this.subscribeView(view => {
      const { local, origin } = view
      listener({ keys: toKeys(view, this.nodes), local, origin })
    })
  }
}
