// A snapshot in words, for the panel: is it saved, and if not, why not.

import type { DebugRoom, DebugSnapshot } from './debug.js'
import type { ErrorDetails } from './error.js'
import type { LoggedEvent } from './event-log.js'

/** How a sentence is meant. */
export type Tone = 'good' | 'wait' | 'bad'

/** Something said about the state of things. */
export interface Verdict {
  readonly tone: Tone
  readonly words: string
}

/** What is true of all rooms together; it changes only when that does, so it can be read out. */
export function overallVerdict({ module, error, rooms }: DebugSnapshot): Verdict {
  if (module === 'failed') return bad(`The client cannot run: ${sentence(error)}`)
  if (module === 'disposed') return wait('The client was disposed.')
  if (rooms.length === 0) return wait('No room is open.')
  const inMemory = rooms.filter(it => it.saved.tier === 'memory')
  if (inMemory.length > 0) return bad(`Not saved: ${edits(inMemory)} only in memory.`)
  const onDevice = rooms.filter(it => it.saved.tier === 'device')
  if (onDevice.length > 0) return wait(`Saved on this device: ${edits(onDevice)} not at the relay yet.`)
  if (rooms.some(it => it.saved.tier === 'accepted')) return wait('Being saved.')
  const stopped = rooms.filter(it => it.status.state === 'stopped').length
  if (stopped > 0) return bad(`Saved so far, but ${count(stopped, 'room has', 'rooms have')} stopped.`)
  if (rooms.some(it => it.status.state === 'opening')) return wait('Opening.')
  return good('Everything is saved.')
}

/** How the connection stands. */
export function connectionVerdict({ module, connection, at }: DebugSnapshot): Verdict {
  if (connection === null) {
    return module === 'loading' ? wait('The module is being loaded.') : wait('There is no connection.')
  }
  const { state, since, retryAt, attempts, lastError, answerBy } = connection
  const reason = because(lastError?.error)
  switch (state) {
    case 'unneeded':
      return wait('Not connected: no room needs it.')
    case 'waiting':
      return wait(`The relay cannot be reached; next try ${later(retryAt, at)}.${reason}`)
    case 'connecting':
      return attempts > 0
        ? wait(`Trying to reach the relay again, for the ${ordinal(attempts)} time.${reason}`)
        : wait('Connecting to the relay.')
    case 'greeting':
      return wait('The relay was reached and has not answered yet.')
    case 'stopped':
      return bad(`The relay turned this client away, and to try again would not help.${reason}`)
    case 'open':
      return answerBy === null || answerBy - at > 3_000
        ? good(`Connected for ${duration(at - (since ?? at))}.`)
        : wait(`Connected, but the relay is silent; it is given up ${later(answerBy, at)}.`)
  }
}

/** Whether a room is saved. */
export function roomVerdict({ status, saved, figures }: DebugRoom): Verdict {
  const waiting = count(saved.pending, 'edit', 'edits')
  const tone = status.state === 'stopped' ? 'bad' : 'wait'
  switch (saved.tier) {
    case 'memory':
      return bad(`${waiting} only in memory: lost when this tab is closed`)
    case 'device':
      return { tone, words: `${waiting} on this device, not at the relay yet` }
    case 'accepted':
      return { tone, words: `${waiting} taken by the relay, not on its disk yet` }
    case 'durable':
      if (status.state === 'stopped') return bad('stopped; everything is saved')
      return good(figures?.edits.last === 0 ? 'nothing to save' : 'everything is saved')
  }
}

/** Why a room is not where it should be; nothing when it is. */
export function roomReasons(room: DebugRoom, snapshot: DebugSnapshot): readonly Verdict[] {
  const { status, storage, figures, role } = room
  const reasons: Verdict[] = []
  if (role === 'viewer') reasons.push(wait('This session may read the room, and not write into it.'))
  if (status.state === 'stopped') reasons.push(bad(`The room has stopped: ${sentence(status.error)}`))
  if (storage.kind === 'lost') {
    reasons.push(bad(`This device's store failed, and is tried again: ${sentence(storage.error)}`))
  }
  if (storage.kind === 'damaged') {
    reasons.push(bad(`Something on this device cannot be used: ${sentence(storage.error)}`))
  }
  if (storage.kind === 'memory') {
    reasons.push(wait('Nothing is kept on this device: there is no store, or the app wants none.'))
  }
  if (figures?.degraded) {
    reasons.push(wait(`The relay cannot write to its disk: ${sentence(figures.degraded)}`))
  }
  switch (status.state) {
    case 'opening':
      reasons.push(wait('What this device has is being read.'))
      break
    case 'syncing': {
      const percent = Math.floor((100 * status.received) / Math.max(status.total, 1))
      reasons.push(wait(`Catching up with the relay: ${String(percent)} %.`))
      break
    }
    case 'offline':
      // Else the connection says why, once for all rooms.
      if (snapshot.connection?.state === 'open') {
        const reason = because(status.error)
        const when = later(status.retryAt, snapshot.at)
        reasons.push(wait(`The relay does not let this room in; next try ${when}.${reason}`))
      }
      break
    case 'connecting':
    case 'live':
    case 'stopped':
      break
  }
  return reasons
}

const stateWords: Readonly<Record<string, string>> = {
  opening: 'being opened',
  connecting: 'on the way to the relay',
  syncing: 'catching up',
  live: 'in step with the relay',
  offline: 'the relay is away',
  stopped: 'stopped',
}

/** One line of the log. */
export function eventWords({ event, state, error }: LoggedEvent): string {
  const words = state === undefined ? event.replaceAll('-', ' ') : stateWords[state] ?? state
  return error ? `${words}: ${sentence(error)}` : words
}

/** An error for a person who can look its code up. */
export function sentence(error: ErrorDetails | null): string {
  if (error === null) return 'no reason is known.'
  const message = error.message.replace(/[.\s]+$/, '')
  return `${message} (${error.code}).`
}

/** A length of time, in its largest unit. */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1_000))
  if (seconds < 120) return `${String(seconds)} s`
  const minutes = Math.round(seconds / 60)
  return minutes < 120 ? `${String(minutes)} min` : `${String(Math.round(minutes / 60))} h`
}

/** A number of bytes. */
export function bytes(size: number): string {
  if (size < 1_000) return `${String(size)} B`
  const [divisor, unit] = size < 999_500 ? [1_000, 'kB'] as const : [1_000_000, 'MB'] as const
  const scaled = size / divisor
  return `${scaled < 10 ? scaled.toFixed(1) : scaled.toFixed(0)} ${unit}`
}

/** A number with its noun. */
export function count(number: number, one: string, many: string): string {
  return `${number.toLocaleString('en')} ${number === 1 ? one : many}`
}

function edits(rooms: readonly DebugRoom[]): string {
  const pending = rooms.reduce((sum, { saved }) => sum + saved.pending, 0)
  const where = rooms.length === 1 ? '' : ` in ${String(rooms.length)} rooms`
  return `${count(pending, 'edit', 'edits')}${where} ${pending === 1 ? 'is' : 'are'}`
}

function later(at: number | null, now: number): string {
  const seconds = Math.ceil(((at ?? now) - now) / 1_000)
  return seconds > 0 ? `in ${duration(seconds * 1_000)}` : 'now'
}

function because(error: ErrorDetails | null | undefined): string {
  if (error == null) return ''
  const text = sentence(error)
  return ` ${text.charAt(0).toUpperCase()}${text.slice(1)}`
}

function ordinal(number: number): string {
  const suffixes: Readonly<Record<string, string>> = { one: 'st', two: 'nd', few: 'rd', other: 'th' }
  const rule = new Intl.PluralRules('en', { type: 'ordinal' }).select(number)
  return `${String(number)}${suffixes[rule] ?? 'th'}`
}

const good = (words: string): Verdict => ({ tone: 'good', words })
const wait = (words: string): Verdict => ({ tone: 'wait', words })
const bad = (words: string): Verdict => ({ tone: 'bad', words })
