// The peers of a room, told at most once per frame.

import { FrameSchedule } from './frame.js'
import { Listeners } from './listeners.js'
import type { PeerView } from './view.js'

/** What the others in a room show. */
export class RoomPeers {
  readonly listeners: Listeners<undefined> = new Listeners()
  readonly #frame = new FrameSchedule(() => {
    this.listeners.notify(undefined)
  })
  #list: readonly { readonly id: number; readonly state: object }[] = []

  /** The same list until somebody shows something else. */
  get list(): readonly { readonly id: number; readonly state: object }[] {
    return this.#list
  }

  /** Takes in what several showed; of several states of one peer the last one counts. */
  take(changed: readonly PeerView[]): void {
    if (changed.length === 0) return
    const peers = new Map(this.#list.map(peer => [peer.id, peer]))
    for (const { id, state } of changed) {
      const shown = parseShown(state)
      if (shown === null) peers.delete(id)
      else peers.set(id, { id, state: shown })
    }
    this.#list = [...peers.values()]
    this.request()
  }

  /** Nobody is seen without a connection. */
  clear(): void {
    if (this.#list.length > 0) this.request()
    this.#list = []
  }

  /** Has the listeners called soon. */
  request(): void {
    this.#frame.request()
  }

  close(): void {
    this.#frame.cancel()
  }
}

/** Other software may show something that is no object; it means nothing here. */
function parseShown(json: string | null): object | null {
  if (json === null) return null
  try {
    const shown: unknown = JSON.parse(json)
    return typeof shown === 'object' ? shown : null
  } catch {
    return null
  }
}
