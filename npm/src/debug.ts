// `client.debug()`: all that a developer needs when somebody says “it does not save”.

import type { ErrorDetails } from './error.js'
import type { EventLog, LoggedEvent } from './event-log.js'
import {
  type ConnectionFigures,
  type RoomFigures,
  readConnection,
  readRoom,
} from './figures.js'
import type { RoomStatus } from './room-events.js'
import type { RoomSession } from './room-session.js'
import type { Session } from './session.js'
import { version } from './version.js'
import type { Role, RoomView, SavedTier } from './view.js'

/** A client at one moment, as plain JSON. It holds no token, and nothing of what was written. */
export interface DebugSnapshot {
  /** The version of the package. */
  readonly version: string
  /** When it was taken, as of `Date.now()`, like all times in it. */
  readonly at: number
  /** The address of the relay, without user, password and query. */
  readonly url: string
  /** The wasm module; `failed` says why in `error`. */
  readonly module: 'loading' | 'running' | 'failed' | 'disposed'
  /** Why the module failed; `null` when it did not. */
  readonly error: ErrorDetails | null
  /** How often the module was started anew in the last minute, because it had failed. */
  readonly restarts: number
  /** `null` as long as there is no module. */
  readonly connection: ConnectionFigures | null
  /** The rooms that somebody has, and those whose last edits are on their way. */
  readonly rooms: readonly DebugRoom[]
}

/** One room of a snapshot. */
export interface DebugRoom {
  /** The name by which it was asked for. */
  readonly name: string
  /** As `room.status`, with what errors say in place of the errors. */
  readonly status: RoomView['status']
  /** As `room.saved`. */
  readonly saved: { readonly tier: SavedTier; readonly pending: number }
  /** As `room.storage`, with what errors say in place of the errors. */
  readonly storage: RoomView['storage']
  /** As `room.role`. */
  readonly role: Role
  /** Whether what this device has is in the document. */
  readonly isLoaded: boolean
  /** Whether the document has had everything that the relay had. */
  readonly isSynced: boolean
  /** Whether all own edits are in this device's store, whatever the tier. */
  readonly isOnDevice: boolean
  /** `null` as long as there is no module. */
  readonly figures: RoomFigures | null
  /** How many others show something. */
  readonly peers: number
  /** How many calls of `client.room` were not disposed yet. */
  readonly shares: number
  /** How many functions listen to the room's events. */
  readonly listeners: number
  /** The last 20 events but for `saved`, the oldest first. */
  readonly events: readonly LoggedEvent[]
}

/** A room as the client keeps it. */
export interface Watched {
  readonly session: RoomSession
  readonly log: EventLog
  readonly shares: number
}

export function takeSnapshot(
  url: string,
  session: Session,
  rooms: Iterable<Watched>,
): DebugSnapshot {
  const { module, restarts, error, figures } = session.debug()
  const snapshot: DebugSnapshot = {
    version,
    at: Date.now(),
    url,
    module,
    restarts,
    error: error?.toJSON() ?? null,
    connection: figures && readConnection(figures),
    rooms: [...rooms].map(describeRoom),
  }
  return withoutSecrets(snapshot, url)
}

function describeRoom({ session, log, shares }: Watched): DebugRoom {
  // Asking lets the module see edits of this very task.
  const { saved } = session
  const { view, figures } = session.debug()
  const { status, storage } = session
  const events = Object.entries(session.listeners)
  // The log listens itself, to all but `saved`.
  const count = events.reduce((sum, [, listeners]) => sum + listeners.size, 1 - events.length)
  return {
    name: session.name,
    status: describeStatus(status),
    saved,
    storage: 'error' in storage ? { ...storage, error: storage.error.toJSON() } : storage,
    role: view.role,
    isLoaded: view.isLoaded,
    isSynced: view.isSynced,
    isOnDevice: view.isOnDevice,
    figures: figures && readRoom(figures),
    peers: session.peers.list.length,
    shares,
    listeners: count,
    events: log.events,
  }
}

function describeStatus(status: RoomStatus): RoomView['status'] {
  switch (status.state) {
    case 'offline':
      return { ...status, error: status.error?.toJSON() ?? null }
    case 'stopped':
      return { ...status, error: status.error.toJSON() }
    case 'disposed':
      // A handle may be; what all handles share is not.
      return { state: 'opening' }
    default:
      return status
  }
}

/** A copy in which no text holds what may be a secret: parts of the address, or a signed token. */
function withoutSecrets(snapshot: DebugSnapshot, url: string): DebugSnapshot {
  const { protocol, host, pathname } = new URL(url)
  const shown = `${protocol}//${host}${pathname}`
  const clean = (_key: string, value: unknown): unknown => typeof value === 'string'
    ? value.replaceAll(url, shown).replace(/\bey[\w-]+\.[\w-]+\.[\w-]+/g, '[token]')
    : value
  return JSON.parse(JSON.stringify(snapshot, clean)) as DebugSnapshot
}

