// The shared types of one room in the present instance of the module, and who listens to them.

import { apiError, toError } from './error.js'
import { type Kind, kindNames } from './kind.js'
import { Listeners } from './listeners.js'
import { type NodeId, nodeKey } from './shared.js'
import { toNodeId } from './value.js'
import type { ChangeView, NodeView } from './view.js'
import type { WasmNode, WasmPast, WasmRoom } from './wasm.js'

/** Changes of one transaction, and which one that was. */
interface Told {
  readonly number: number
  readonly changes: readonly ChangeView[]
}

/** Somebody listens to a type. */
interface Observed {
  readonly id: NodeId
  /** Whether the present instance of the module knows of it. */
  isWatched: boolean
  /** To the type itself. */
  readonly own: Listeners<Told>
  /** To types inside it, too. */
  readonly deep: Listeners<Told>
}

export class SharedNodes {
  /** Those with a name, which are few. */
  #named = new Map<string, WasmNode>()
  /** One for all nested ones, in turn: nobody tells when an app lets go of one. */
  #nested: WasmNode | undefined
  readonly #kinds = new Map<string, Kind>()
  readonly #observed = new Map<string, Observed>()
  /** How many transactions were told. */
  #count = 0

  /** Checks that a name is used for one kind of type only. */
  claim(kind: Kind, name: string): void {
    const known = this.#kinds.get(name)
    if (known === undefined) this.#kinds.set(name, kind)
    else if (known !== kind) {
      const [is, wanted] = [kindNames[known], kindNames[kind]]
      const message = `${JSON.stringify(name)} is used as ${is} already, and cannot be ${wanted} as well`
      throw apiError('api.wrong_type', message)
    }
  }

  /** The names that are used, and for which kinds of types. */
  get claimed(): ReadonlyMap<string, Kind> {
    return this.#kinds
  }

  /** The type in the module, until the next call. */
  get(room: WasmRoom | WasmPast, id: NodeId): WasmNode {
    if ('name' in id) {
      let node = this.#named.get(id.name)
      if (node === undefined) {
        node = room.node(id.kind, id.name)
        if (node === undefined) throw apiError('api.wrong_type', 'there is no such kind of type')
        this.#named.set(id.name, node)
      }
      return node
    }
    this.#nested ??= room.node(id.kind, '')
    if (this.#nested === undefined) throw apiError('api.wrong_type', 'there is no such kind of type')
    this.#nested.point(id.kind, id.client, id.clock)
    return this.#nested
  }

  subscribe(
    room: WasmRoom,
    id: NodeId,
    isDeep: boolean,
    listener: (changes: readonly ChangeView[]) => void,
  ): { readonly end: (room: WasmRoom | undefined) => void } {
    const key = nodeKey(id)
    const observed = this.#observed.get(key)
      ?? { id, isWatched: true, own: new Listeners(), deep: new Listeners() }
    const listeners = isDeep ? observed.deep : observed.own
    if (listeners.isEmpty) this.get(room, id).observe(isDeep)
    this.#observed.set(key, observed)
    // What the document holds already is no news.
    const before = this.#count
    const subscription = listeners.add(({ number, changes }) => {
      if (number > before) listener(changes)
    })
    const end = (room: WasmRoom | undefined): void => {
      subscription.dispose()
      if (!listeners.isEmpty) return
      if (observed.own.isEmpty && observed.deep.isEmpty) this.#observed.delete(key)
      if (room !== undefined) this.get(room, id).unobserve(isDeep)
    }
    return { end }
  }

  /** What listeners are to be told of changes, in order. */
  changed(changes: readonly ChangeView[]): (() => void)[] {
    return transactions(changes).map(({ key, group }) => {
      this.#count += 1
      const number = this.#count
      return () => {
        const observed = this.#observed.get(key)
        if (observed === undefined) return
        const own = group.filter(change => keyOf(change.target) === key)
        if (own.length > 0) observed.own.notify({ number, changes: own })
        // Outer types first, as in Yjs.
        const changes = [...group].sort((a, b) => a.path.length - b.path.length)
        observed.deep.notify({ number, changes })
      }
    })
  }

  /** Begins anew in another instance of the module. */
  restart(): void {
    this.#named = new Map()
    this.#nested = undefined
    for (const observed of this.#observed.values()) observed.isWatched = false
  }

  /** Goes on listening there: to what is there already, and later on to the rest. */
  restore(room: WasmRoom): void {
    for (const observed of this.#observed.values()) {
      if (observed.isWatched) continue
      const { id, own, deep } = observed
      try {
        if (!own.isEmpty) this.get(room, id).observe(false)
        if (!deep.isEmpty) this.get(room, id).observe(true)
        observed.isWatched = true
      } catch (error) {
        // It is deleted, or comes with what the app was not told yet; anything else is a trap.
        if (toError(error).code !== 'api.deleted') throw error
      }
    }
  }

  /** Lets go of the module's memory. */
  free(): void {
    for (const node of this.#named.values()) node.free()
    this.#nested?.free()
    this.#named.clear()
    this.#nested = undefined
  }
}

interface Transaction {
  readonly key: string
  readonly group: ChangeView[]
}

/** Changes that belong together, by the observed type. */
function transactions(changes: readonly ChangeView[]): Transaction[] {
  const all: Transaction[] = []
  const last = new Map<string, { readonly number: number; readonly group: ChangeView[] }>()
  for (const change of changes) {
    const key = keyOf(change.observed)
    const open = last.get(key)
    if (open?.number === change.transaction) {
      open.group.push(change)
      continue
    }
    const group = [change]
    last.set(key, { number: change.transaction, group })
    all.push({ key, group })
  }
  return all
}

function keyOf(node: NodeView): string {
  return nodeKey(toNodeId(node['\u0000']))
}
