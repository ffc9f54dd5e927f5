// What a room tells: how it stands, where its edits are, and the events that say so.

import type { SetAsideCopy } from './copies.js'
import { CoweaveError } from './error.js'
import { Listeners } from './listeners.js'
import type { Role, RoomView, SavedTier } from './view.js'

/** How a room stands to the relay. */
export type RoomStatus =
  /** What this device has is being read. */
  | { readonly state: 'opening' }
  /** On the way to the relay, or catching up. */
  | { readonly state: 'connecting' }
  /** The first sync is under way: so many bytes of so many are here. */
  | { readonly state: 'syncing'; readonly received: number; readonly total: number }
  /** In step with the relay. */
  | { readonly state: 'live' }
  /** The relay cannot be reached; work goes on. `retryAt` is a time as of `Date.now()`. */
  | {
    readonly state: 'offline'
    readonly retryAt: number | null
    /** Why, when it is known. */
    readonly error: CoweaveError | null
  }
  /** Trying again would not help. */
  | { readonly state: 'stopped'; readonly error: CoweaveError }
  /** This handle was disposed, or its client. */
  | { readonly state: 'disposed' }

/** What is true of every own edit, and how many are not known to be durable on the relay. */
export interface Saved {
  /** Where all own edits are: the least of what is true of each. */
  readonly tier: SavedTier
  /** How many own edits are not known to be durable; those that were merged count once. */
  readonly pending: number
}

/** Where this device keeps the room. */
export type RoomStorage =
  /** In IndexedDB. */
  | { readonly kind: 'device' }
  /**
   * In IndexedDB, which also holds something of the room that cannot be used any more, or of which the browser has
   * thrown away all. What is there is left as it is, and the relay is asked for everything; what is written from here on
   * is kept.
   */
  | { readonly kind: 'damaged'; readonly error: CoweaveError }
  /** In memory only: there is no IndexedDB, or the app does not want it. */
  | { readonly kind: 'memory' }
  /** In memory only, because IndexedDB failed; it is tried again, and then gets all that it lacks. */
  | { readonly kind: 'lost'; readonly error: CoweaveError }

/**
 * An own edit that the relay will never take. What becomes of it is the app's choice: see
 * `RoomOptions`.
 */
export interface RefusedEdit {
  /** Why, by its code. */
  readonly error: CoweaveError
}

/** What `room.on` can listen to. */
export interface RoomEvents {
  /** `status` is another one. */
  readonly status: RoomStatus
  /** `saved` is another one. */
  readonly saved: Saved
  /** What this device has is in the document. */
  readonly loaded: undefined
  /** The document has everything that the relay has, for the first time. */
  readonly synced: undefined
  /** The relay will never take an edit, or what `presence.set` shows (`presence.too_large`). */
  readonly refused: RefusedEdit
  /** The document was put aside, and one that begins with what the relay has took its place. */
  readonly 'set-aside': SetAsideCopy
  /** `role` is another one. */
  readonly role: Role
  /** IndexedDB failed: `storage` is `lost`. Once more when the reason changes. */
  readonly 'storage-lost': CoweaveError
  /** IndexedDB has everything again. */
  readonly 'storage-restored': undefined
  /** Something in IndexedDB cannot be used, or the browser has thrown it away: `storage` is `damaged`. */
  readonly 'storage-damaged': CoweaveError
}

/** The listeners to each event. */
export type RoomListeners = { readonly [E in keyof RoomEvents]: Listeners<RoomEvents[E]> }

export function roomListeners(): RoomListeners {
  return {
    status: new Listeners(),
    saved: new Listeners(),
    loaded: new Listeners(),
    synced: new Listeners(),
    refused: new Listeners(),
    'set-aside': new Listeners(),
    role: new Listeners(),
    'storage-lost': new Listeners(),
    'storage-restored': new Listeners(),
    'storage-damaged': new Listeners(),
  }
}

export function toStatus(status: RoomView['status']): RoomStatus {
  switch (status.state) {
    case 'offline': {
      const { retryAt, error } = status
      // The wall clock may have been set, or gone on while the steady one slept.
      const now = Date.now() - performance.now()
      return {
        state: 'offline',
        retryAt: retryAt && Math.round(now + retryAt),
        error: error && new CoweaveError(error),
      }
    }
    case 'stopped':
      return { state: 'stopped', error: new CoweaveError(status.error) }
    default:
      return status
  }
}

export function toStorage(storage: RoomView['storage']): RoomStorage {
  return 'error' in storage
    ? { kind: storage.kind, error: new CoweaveError(storage.error) }
    : storage
}

/** Views come from JSON: plain values. They come with each keystroke. */
export function isOther(before: unknown, after: unknown): boolean {
  if (before === after) return false
  if (typeof before !== 'object' || typeof after !== 'object' || before === null || after === null) {
    return true
  }
  const [one, other] = [before as Record<string, unknown>, after as Record<string, unknown>]
  for (const key in one) if (!(key in other)) return true
  for (const key in other) if (isOther(one[key], other[key])) return true
  return false
}
