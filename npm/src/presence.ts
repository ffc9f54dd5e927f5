// What the peers of a room show each other.

import { checkFunction, checkPresence } from './argument.js'
import type { Disposer } from './disposer.js'
import type { Handle } from './handle.js'

/** Somebody else in the room. */
export interface Peer<S extends object> {
  /** A whole number that differs between all connections, also those of one person. */
  readonly id: number
  /** What they show; the type is a promise of the app, others may run another version of it. */
  readonly state: S
}

/** What the peers of a room show: who, where, doing what. Nothing of it is kept. */
export class Presence<S extends object> {
  readonly #handle: Handle

  /** @internal */
  constructor(handle: Handle) {
    this.#handle = handle
  }

  /** The others, without those that show nothing. */
  get peers(): readonly Peer<S>[] {
    return this.#handle.session.peers.list as readonly Peer<S>[]
  }

  /**
   * Shows a JSON object to the others, or nothing any more. Shared by all handles of the room; one that
   * is disposed shows nothing. Throws `api.wrong_type` for what is no object, or cannot be written as
   * JSON, and `api.disposed`. A relay takes 16 KiB of JSON if it is not configured otherwise: for more,
   * `room.on('refused')` tells `presence.too_large`.
   */
  set(state: S | null): void {
    const json = checkPresence(state)
    if (json === null && this.#handle.isOver) return
    this.#handle.use().setPresence(json)
  }

  /**
   * Calls a function soon and then after changes, at most once per animation frame (where there are
   * none, in 16 milliseconds). There are none after `dispose`.
   */
  subscribe(listener: (peers: readonly Peer<S>[]) => void): Disposer {
    checkFunction(listener, 'the listener')
    const { peers } = this.#handle.session
    if (!this.#handle.isOver) peers.request()
    return this.#handle.own(peers.listeners.add(() => {
      listener(this.peers)
    }))
  }
}
