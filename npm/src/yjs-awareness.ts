// The awareness of a Y.Doc and the presence of a room: what one shows, the other one shows.

import { type Awareness, applyAwarenessUpdate, removeAwarenessStates } from 'y-protocols/awareness'
import type { Disposer } from './disposer.js'
import type { Peer } from './presence.js'
import type { Room } from './room.js'

/** An awareness forgets what was not renewed for 30 s. A room says when somebody is gone. */
const RENEW_MS = 10_000

/** Of each room, those who have something to show: it shows what the last one of them does. */
const showing = new WeakMap<object, Set<AwarenessBridge>>()

interface AwarenessChange {
  readonly added: readonly number[]
  readonly updated: readonly number[]
  readonly removed: readonly number[]
}

/** Shows the peers of a room in an awareness, and its own state to them. */
export class AwarenessBridge {
  readonly #room: Room<object>
  readonly #awareness: Awareness
  readonly #origin: object
  readonly #subscription: Disposer
  readonly #renewal: ReturnType<typeof setInterval>
  /** What was last shown here of each peer. */
  #peers: ReadonlyMap<number, object> = new Map()

  /** Changes that it makes have this origin. */
  constructor(room: Room<object>, awareness: Awareness, origin: object) {
    this.#room = room
    this.#awareness = awareness
    this.#origin = origin
    this.#subscription = room.presence.subscribe(peers => {
      this.#take(peers)
    })
    this.#renewal = setInterval(() => {
      this.#write([...this.#peers])
    }, RENEW_MS)
    awareness.on('change', this.#onChange)
    this.#show()
  }

  readonly #onChange = ({ added, updated, removed }: AwarenessChange, origin: unknown): void => {
    // In a hidden page the renewal may come too late.
    if (origin === 'timeout') this.#write([...this.#peers].filter(([id]) => removed.includes(id)))
    if ([added, updated, removed].some(ids => ids.includes(this.#awareness.clientID))) this.#show()
  }

  /** What it has to show; a new awareness shows an object without anything in it. */
  get #state(): object | null {
    const state = this.#awareness.getLocalState()
    return state !== null && Object.keys(state).length > 0 ? state : null
  }

  #show(): void {
    const { identity } = this.#room
    const bridges = showing.get(identity) ?? new Set()
    if (this.#state === null && !bridges.has(this)) return
    bridges.delete(this)
    if (this.#state !== null) bridges.add(this)
    showing.set(identity, bridges)
    this.#room.presence.set(AwarenessBridge.#last(bridges))
  }

  /** What the last one of several has to show. */
  static #last(bridges: ReadonlySet<AwarenessBridge>): object | null {
    const last = [...bridges].at(-1)
    return last === undefined ? null : last.#state
  }

  #take(peers: readonly Peer<object>[]): void {
    const before = this.#peers
    const others = peers.filter(({ id }) => id !== this.#awareness.clientID)
    this.#peers = new Map(others.map(({ id, state }) => [id, state]))
    const gone = [...before.keys()].filter(id => !this.#peers.has(id))
    removeAwarenessStates(this.#awareness, gone, this.#origin)
    // A peer that shows the same is the same object.
    this.#write([...this.#peers].filter(([id, state]) => before.get(id) !== state))
  }

  #write(peers: readonly (readonly [number, object])[]): void {
    if (peers.length === 0) return
    const { meta } = this.#awareness
    const entries = peers.map(([id, state]) => {
      return { id, clock: (meta.get(id)?.clock ?? 0) + 1, json: JSON.stringify(state) }
    })
    applyAwarenessUpdate(this.#awareness, encode(entries), this.#origin)
  }

  dispose(): void {
    clearInterval(this.#renewal)
    this.#subscription.dispose()
    this.#awareness.off('change', this.#onChange)
    this.#take([])
    const bridges = showing.get(this.#room.identity)
    const isLast = [...bridges ?? []].at(-1) === this
    if (bridges?.delete(this) !== true || !isLast) return
    try {
      this.#room.presence.set(AwarenessBridge.#last(bridges))
    } catch {
      // The room is gone, and what was shown there with it.
    }
  }
}

interface Entry {
  readonly id: number
  readonly clock: number
  readonly json: string
}

/** An awareness update as y-protocols reads it. */
function encode(entries: readonly Entry[]): Uint8Array {
  const bytes: number[] = []
  writeVar(bytes, entries.length)
  for (const { id, clock, json } of entries) {
    writeVar(bytes, id)
    writeVar(bytes, clock)
    const text = new TextEncoder().encode(json)
    writeVar(bytes, text.length)
    for (const byte of text) bytes.push(byte)
  }
  return Uint8Array.from(bytes)
}

/** Client ids have more bits than there are in bitwise operations. */
function writeVar(bytes: number[], value: number): void {
  let rest = value
  while (rest > 127) {
    bytes.push(128 + rest % 128)
    rest = Math.floor(rest / 128)
  }
  bytes.push(rest)
}
