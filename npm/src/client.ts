// A client: the rooms of one relay.

import { checkEvent, checkFunction, checkRoomName, checkUrl, checkUser, wrongType } from './argument.js'
import { type DebugSnapshot, takeSnapshot } from './debug.js'
import { Cleanup, type Disposer, makeDisposable } from './disposer.js'
import { type CoweaveError, apiError } from './error.js'
import { EventLog } from './event-log.js'
import { type LeaveGuardOptions, guardLeaving } from './leave-guard.js'
import { Listeners, report } from './listeners.js'
import { Room, type RoomOptions } from './room.js'
import { RoomSession } from './room-session.js'
import { type Platform, Session, type WebSocketConstructor } from './session.js'

/** What `connect` can be told. */
export interface ConnectOptions {
  /**
   * Gives the token for an attempt to connect; called for each one, and given 8,000 milliseconds. What
   * it throws is an attempt that failed, with `token.failed`.
   */
  readonly token?: () => string | Promise<string>
  /** Where rooms are kept beside the relay; `device` (IndexedDB, where there is one) by default. */
  readonly storage?: 'device' | 'memory'
  /**
   * Who uses this browser, when several people may: what the device keeps for one of them, no other
   * one gets to see. A name that stays the same over visits, without control characters; it never
   * leaves the device.
   */
  readonly user?: string
  /** The WebSocket to use instead of the environment's own. */
  readonly webSocket?: WebSocketConstructor
}

/** What `client.on` can listen to. */
export interface ClientEvents {
  /**
   * A bug stopped the wasm module, and another instance of it went on: nothing is lost but the one
   * call that threw, if it was a call of the app.
   */
  readonly restarted: CoweaveError
}

/** Whoever leaves the last room for another one within this time goes on over the same connection. */
const LINGER_MS = 2_000

/** The rooms of one relay, over one connection. */
export class Client implements Disposer {
  /** The address of the relay, as a WebSocket URL. */
  readonly url: string
  readonly #session: Session
  readonly #rooms = new Map<string, Shared>()
  readonly #guards = new Set<Disposer>()
  /** Leaves the room that is there only for that. */
  #endLingering: (() => void) | undefined
  #timer: ReturnType<typeof setTimeout> | undefined
  readonly #listeners: { readonly [E in keyof ClientEvents]: Listeners<ClientEvents[E]> } = {
    restarted: new Listeners(),
  }
  #isDisposed = false

  /** As `dispose`, for `using`. */
  declare [Symbol.dispose]: () => void

  static {
    makeDisposable(this.prototype)
  }

  /** @internal */
  constructor(platform: Platform, url: string | URL, options: ConnectOptions) {
    this.url = checkUrl(url)
    const settings = { url: this.url, ...checkOptions(options, platform) }
    this.#session = new Session(platform, settings, error => {
      this.#listeners.restarted.notify(error)
    })
  }

  /**
   * A share in a room, to be disposed. `S` is what the app's peers show as presence. Throws
   * `room.invalid_name` for a name that is empty, has more than 256 bytes of UTF-8 or a control
   * character, `api.split_surrogate` for one with half of a character, `api.wrong_type` for other
   * arguments of the wrong type, and `api.disposed`.
   */
  room<S extends object = Record<string, unknown>>(name: string, options: RoomOptions = {}): Room<S> {
    if (this.#isDisposed) throw apiError('api.disposed', 'the client was disposed')
    checkRoomName(name)
    const refused = checkRefused(options)
    const shared = this.#rooms.get(name) ?? this.#share(name)
    this.#rooms.set(name, shared)
    if (refused !== undefined) shared.session.keepRefused(refused === 'keep')
    shared.shares += 1
    // Behind the opening of this one.
    this.#session.started.then(() => this.#endLingering?.(), () => undefined)
    return new Room(shared.session, () => {
      this.#release(name, shared)
    })
  }

  #share(name: string): Shared {
    const session = new RoomSession(this.#session, name)
    return { session, log: new EventLog(session.listeners), shares: 0 }
  }

  /** Everything a developer needs when somebody says that it does not save, as plain JSON. */
  debug(): DebugSnapshot {
    return takeSnapshot(this.url, this.#session, this.#rooms.values())
  }

  /**
   * Asks before the page is left, as long as an edit in a room of this client would be lost; or, by
   * choice, as long as one is not durable. Ends with the client, if it is not disposed before. Without
   * a page there is nothing to ask. Throws `api.wrong_type` for options that are none, and `api.disposed`.
   */
  guardLeaving(options: LeaveGuardOptions = {}): Disposer {
    if (this.#isDisposed) throw apiError('api.disposed', 'the client was disposed')
    const rooms = (): Iterable<RoomSession> => [...this.#rooms.values()].map(it => it.session)
    const guard = guardLeaving(this.#session, rooms, options)
    this.#guards.add(guard)
    return new Cleanup(() => {
      this.#guards.delete(guard)
      guard.dispose()
    })
  }

  /** Calls a function when something happens. Throws `api.wrong_type` for an event that there is not. */
  on<E extends keyof ClientEvents>(event: E, listener: (value: ClientEvents[E]) => void): Disposer {
    checkFunction(listener, 'the listener')
    checkEvent(event, Object.keys(this.#listeners))
    return this.#listeners[event].add(listener)
  }

  /** The room stays for whoever asks again at once, as frameworks do that mount twice. */
  #release(name: string, shared: Shared): void {
    shared.shares -= 1
    queueMicrotask(() => {
      if (shared.shares === 0) shared.session.rest()
      this.#leave(name, shared)
    })
  }

  /** Leaves a room that nobody is in, as soon as its edits are kept anywhere else. */
  #leave(name: string, shared: Shared, mayLinger = true): void {
    if (shared.shares > 0 || this.#rooms.get(name) !== shared) return
    if (shared.session.isUnsaved) {
      shared.session.whenSaved = () => {
        this.#leave(name, shared)
      }
      return
    }
    if (mayLinger && this.#isLast(shared)) {
      this.#linger(() => {
        this.#leave(name, shared, false)
      })
      return
    }
    this.#rooms.delete(name)
    shared.session.close()
  }

  /** Whether without this one nobody needs the connection, and with it somebody may soon. */
  #isLast(shared: Shared): boolean {
    if (shared.session.status.state === 'stopped') return false
    return ![...this.#rooms.values()].some(it => it !== shared && it.session.isOpen)
  }

  #linger(leave: () => void): void {
    clearTimeout(this.#timer)
    this.#endLingering = () => {
      this.#endLingering = undefined
      leave()
    }
    this.#timer = setTimeout(this.#endLingering, LINGER_MS)
  }

  /**
   * Leaves all rooms and closes the connection. Edits so far are sent before, or written to this device;
   * with neither a connection nor a store they are lost: wait for `room.flush()` first.
   */
  dispose(): void {
    if (this.#isDisposed) return
    this.#isDisposed = true
    clearTimeout(this.#timer)
    for (const guard of this.#guards) guard.dispose()
    for (const { session } of this.#rooms.values()) {
      try {
        session.close()
      } catch (error) {
        report(error)
      }
    }
    this.#rooms.clear()
    this.#session.dispose()
    for (const listeners of Object.values(this.#listeners)) listeners.clear()
  }
}

interface Shared {
  readonly session: RoomSession
  readonly log: EventLog
  shares: number
}

function checkRefused(options: unknown): RoomOptions['refused'] {
  if (typeof options !== 'object' || options === null) {
    throw wrongType('the options', 'an object', options)
  }
  const { refused } = options as RoomOptions
  if (refused !== undefined && !['set-aside', 'keep'].includes(refused)) {
    throw wrongType('options.refused', "'set-aside' or 'keep'", refused)
  }
  return refused
}

function checkOptions(options: unknown, platform: Platform): {
  readonly token: (() => string | Promise<string>) | undefined
  readonly storage: 'device' | 'memory'
  readonly user: string | undefined
  readonly webSocket: WebSocketConstructor
} {
  if (typeof options !== 'object' || options === null) {
    throw wrongType('the options', 'an object', options)
  }
  const { token, storage = 'device', user, webSocket } = options as ConnectOptions
  if (token !== undefined) checkFunction(token, 'options.token')
  if (!['device', 'memory'].includes(storage)) {
    throw wrongType('options.storage', "'device' or 'memory'", storage)
  }
  if (user !== undefined) checkUser(user)
  const constructor = webSocket ?? platform.webSocket
  if (typeof constructor !== 'function') {
    throw wrongType('options.webSocket', 'a constructor (there is no own one here)', constructor)
  }
  return { token, storage, user, webSocket: constructor }
}
