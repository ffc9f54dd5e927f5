// What last happened in a room, for whoever looks later: `client.debug()`.

import { CoweaveError, type ErrorDetails, toDetails } from './error.js'
import type { Listeners } from './listeners.js'

const EVENTS_MAX = 20

/** Something that happened in a room. */
export interface LoggedEvent {
  /** As of `Date.now()`. */
  readonly at: number
  /** The name of the room's event. */
  readonly event: string
  /** The state, when it is the status that changed. */
  readonly state?: string
  readonly error?: ErrorDetails
}

/** The last events of a room; never what was written. */
export class EventLog {
  readonly #events: LoggedEvent[] = []

  /** `why` tells why the connection last ended. */
  constructor(listeners: object, why: () => ErrorDetails | undefined) {
    for (const [event, of] of Object.entries(listeners as Record<string, Listeners<unknown>>)) {
      // It changes with every letter, and what counts is how it is now.
      if (event !== 'saved') of.add(value => { this.#note(event, value, why) })
    }
  }

  get events(): readonly LoggedEvent[] {
    return [...this.#events]
  }

  #note(event: string, value: unknown, why: () => ErrorDetails | undefined): void {
    const { state, error } = Object(value) as { readonly state?: unknown; readonly error?: unknown }
    const known = value instanceof CoweaveError ? value : error
    const reason = known instanceof CoweaveError ? toDetails(known)
      : state === 'offline' ? why() : undefined
    this.#events.push({
      at: Date.now(),
      event,
      ...typeof state === 'string' && { state },
      ...reason && { error: reason },
    })
    if (this.#events.length > EVENTS_MAX) this.#events.shift()
  }
}
