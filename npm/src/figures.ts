// Names for the figures that the module gives for `client.debug()`, in its order.

import type { ErrorDetails } from './error.js'

/** Texts, some of them errors in JSON, and then figures. */
export type Figures = readonly (string | number | null)[]

const states = ['unneeded', 'waiting', 'connecting', 'greeting', 'open', 'stopped'] as const

/** How the connection stands. */
export type ConnectionState = (typeof states)[number]

/** An error, and when it happened as of `Date.now()`. */
export interface TimedError {
  /** When, as of `Date.now()`. */
  readonly at: number
  /** What it said. */
  readonly error: ErrorDetails
}

/** The connection to the relay; times are as of `Date.now()`, and `null` when there is none. */
export interface ConnectionFigures {
  /**
   * `unneeded` without rooms; `waiting` for the next attempt; `connecting`; `greeting` when the
   * socket is open and the relay has not answered yet; `open`; `stopped` when trying again would
   * not help.
   */
  readonly state: ConnectionState
  /** When it came to stand so. */
  readonly since: number | null
  /** When the next attempt is made. */
  readonly retryAt: number | null
  /** Attempts that failed since a room was last in step with the relay. */
  readonly attempts: number
  /** Why the last connection, or attempt, ended. */
  readonly lastError: TimedError | null
  /** When something last came from the relay. */
  readonly heardAt: number | null
  /** When the relay is given up if it says nothing. */
  readonly answerBy: number | null
  /** How many milliseconds the answer to the last ping took. */
  readonly roundTrip: number | null
  /** What went to the relay. */
  readonly sent: Traffic
  /** What came from it. */
  readonly received: Traffic
  /** Who greeted: the name and version of its software, and the version of the protocol. */
  readonly relay: { readonly software: string; readonly protocol: number } | null
  /** How many other tabs share with this one, and whether its socket serves them. */
  readonly tabs: { readonly others: number; readonly isLeader: boolean }
}

/** Frames and their bytes since the client began. */
export interface Traffic {
  /** How many messages. */
  readonly frames: number
  /** How many bytes they had together. */
  readonly bytes: number
}

/** What the module knows of a room, beside what every app can ask. */
export interface RoomFigures {
  /** How often the relay did not let the room in since it last was in step with it. */
  readonly attempts: number
  /** Why the relay cannot say at the moment that edits are durable. */
  readonly degraded: ErrorDetails | null
  /** The number of the last own edit, and up to which number they are in which tier. */
  readonly edits: {
    readonly last: number
    readonly device: number
    readonly accepted: number
    readonly durable: number
  }
  /** Own edits that wait to become durable; those that were merged count once. */
  readonly outbox: { readonly updates: number; readonly bytes: number }
  /** Calls of `flush()` without an answer. */
  readonly flushes: number
  /** Where in the relay's log the document stands. */
  readonly position: { readonly epoch: number; readonly sequence: number }
  /** Which history this copy belongs to; `null` before the first contact with a relay. */
  readonly lineage: string | null
  /** How large the document is, with what was deleted. */
  readonly document: {
    /** Under which id this session writes. */
    readonly client: number
    /** How many ids wrote into it. */
    readonly clients: number
    /** How much they wrote: UTF-16 code units, in a text, with the deleted ones. */
    readonly elements: number
  }
  /** The room's log on this device: records and their bytes, and those of the snapshot before them. */
  readonly device: {
    readonly records: number
    readonly recordBytes: number
    readonly snapshotBytes: number
    readonly writesWaiting: number
    readonly isWriting: boolean
  }
}

export function readConnection(figures: Figures): ConnectionFigures {
  const [error, software, errorAt, state, since, retryAt, attempts, heardAt, answerBy, roundTrip,
    framesSent, bytesSent, framesReceived, bytesReceived, protocol, others, leads] = figures
  return {
    state: states[number(state)] ?? 'open',
    since: time(since),
    retryAt: time(retryAt),
    attempts: number(attempts),
    lastError: timed(error, errorAt),
    heardAt: framesReceived === 0 ? null : time(heardAt),
    answerBy: time(answerBy),
    roundTrip: typeof roundTrip === 'number' ? roundTrip : null,
    sent: { frames: number(framesSent), bytes: number(bytesSent) },
    received: { frames: number(framesReceived), bytes: number(bytesReceived) },
    relay: typeof software === 'string' ? { software, protocol: number(protocol) } : null,
    tabs: { others: number(others), isLeader: leads === 1 },
  }
}

export function readRoom(figures: Figures): RoomFigures {
  const [degraded, attempts, last, device, accepted, durable, updates, bytes,
    flushes, epoch, sequence, client, clients, elements, records, recordBytes, snapshotBytes,
    writesWaiting, writesUnderWay, ...lineage] = figures
  return {
    attempts: number(attempts),
    degraded: details(degraded),
    edits: {
      last: number(last),
      device: number(device),
      accepted: number(accepted),
      durable: number(durable),
    },
    outbox: { updates: number(updates), bytes: number(bytes) },
    flushes: number(flushes),
    position: { epoch: number(epoch), sequence: number(sequence) },
    lineage: lineage.map(byte => number(byte).toString(16).padStart(2, '0')).join('') || null,
    document: { client: number(client), clients: number(clients), elements: number(elements) },
    device: {
      records: number(records),
      recordBytes: number(recordBytes),
      snapshotBytes: number(snapshotBytes),
      writesWaiting: number(writesWaiting),
      isWriting: writesUnderWay === 1,
    },
  }
}

type Figure = Figures[number] | undefined

function number(figure: Figure): number {
  return typeof figure === 'number' ? figure : 0
}

/** The module's times count on the steady clock of the page. */
function time(figure: Figure): number | null {
  return typeof figure === 'number' ? Math.round(Date.now() + figure - performance.now()) : null
}

function details(figure: Figure): ErrorDetails | null {
  return typeof figure === 'string' ? JSON.parse(figure) as ErrorDetails : null
}

function timed(error: Figure, at: Figure): TimedError | null {
  const read = details(error)
  return read && { at: time(at) ?? 0, error: read }
}
