// What last happened in a room, for whoever looks later: `client.debug()`.

import { CoweaveError, type ErrorDetails } from './error.js'
import type { Listeners } from './listeners.js'

const EVENTS_MAX = 20

/** Something that happened in a room. */
export interface LoggedEvent {
  /** As of `Date.now()`. */
  readonly at: number
  /** The name of the room's event. */
  readonly event: string
  /** What the status or the role is now. */
  readonly state?: string
  /** Why, when it has a reason. */
  readonly error?: ErrorDetails
}

/** The last events of a room; never what was written. */
export class EventLog {
  readonly #events: LoggedEvent[] = []

  constructor(listeners: object) {
    for (const [event, of] of Object.entries(listeners as Record<string, Listeners<unknown>>)) {
      // It changes with every letter, and what counts is how it is now.
      if (event !== 'saved') of.add(value => { this.#note(event, value) })
    }
  }

  get events(): readonly LoggedEvent[] {
    return [...this.#events]
  }

  #note(event: string, value: unknown): void {
    const { state, error } = Object(value) as { readonly state?: unknown; readonly error?: unknown }
    const now = typeof value === 'string' ? value : state
    const known = value instanceof CoweaveError ? value : error
    this.#events.push({
      at: Date.now(),
      event,
      ...typeof now === 'string' && { state: now },
      ...known instanceof CoweaveError && { error: known.toJSON() },
    })
    if (this.#events.length > EVENTS_MAX) this.#events.shift()
  }
}
