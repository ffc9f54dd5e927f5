// What the wasm module tells of its rooms, in JSON.

import type { ErrorDetails } from './error.js'
import type { Formats } from './delta.js'

/** The state of a room; times are those of `performance.now()`. */
export interface RoomView {
  readonly status:
    | { readonly state: 'opening' | 'connecting' | 'live' }
    | { readonly state: 'syncing'; readonly received: number; readonly total: number }
    | {
      readonly state: 'offline'
      readonly retryAt: number | null
      readonly error: ErrorDetails | null
    }
    | { readonly state: 'stopped'; readonly error: ErrorDetails }
  readonly saved: { readonly tier: SavedTier; readonly pending: number }
  readonly storage:
    | { readonly kind: 'device' | 'memory' }
    | { readonly kind: 'damaged' | 'lost'; readonly error: ErrorDetails }
  readonly isLoaded: boolean
  readonly isSynced: boolean
  readonly role: Role
  /** Whether all own edits are in this device's store, whatever the tier. */
  readonly isOnDevice: boolean
}

/** What a session may do in a room: an editor reads and writes, a viewer reads and shows presence. */
export type Role = 'editor' | 'viewer'

/** The tiers, in the order of their numbers. */
export const savedTiers = ['memory', 'device', 'accepted', 'durable'] as const

/**
 * How safe all own edits are: in this page alone, in this device's store, in the relay's memory, or on
 * its disk.
 */
export type SavedTier = (typeof savedTiers)[number]

/** The news of one room. */
export interface Batch {
  readonly room: number
  readonly view?: RoomView
  readonly peers: readonly PeerView[]
  readonly refused: readonly { readonly number: number; readonly error: ErrorDetails }[]
  readonly setAside: readonly { readonly id: string; readonly about: CopyDetails }[]
  /** The numbers of requests to flush that are answered. */
  readonly flushed: readonly number[]
  readonly seeded?: { readonly isFirst: boolean } | { readonly error: ErrorDetails }
}

/** What is known of a copy that was set aside. */
export interface CopyDetails {
  readonly error: ErrorDetails
  readonly time: number
}

/** Which shared type: kind, then name, or client and clock, and the name of an element. */
export interface NodeView {
  readonly '\u0000': readonly [kind: number, ...place: readonly unknown[]]
}

/** A change of a document, as `Change` of the core writes it. */
export interface ChangeView {
  readonly observed: NodeView
  readonly target: NodeView
  readonly path: readonly (string | number)[]
  readonly delta: readonly (
    | { readonly insert: string | readonly unknown[]; readonly attributes?: Formats }
    | { readonly delete: number }
    | { readonly retain: number; readonly attributes?: Formats }
  )[]
  readonly keys: readonly [key: string, before: readonly unknown[], after: readonly unknown[]][]
  readonly local: boolean
  /** The number of the origin; the origin itself when it reaches the listeners. */
  readonly origin: unknown
  readonly transaction: number
}

/** What a peer shows, as JSON text; `null` when it is gone. */
export interface PeerView {
  readonly id: number
  readonly state: string | null
}
