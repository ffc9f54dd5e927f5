// A client: the rooms of one relay.

import { checkFunction, checkRoomName, checkUrl, checkUser, wrongType } from './argument.js'
import { type Disposer, makeDisposable } from './disposer.js'
import { apiError } from './error.js'
import { Room, type RoomOptions } from './room.js'
import { RoomSession } from './room-session.js'
import { type Platform, Session, type WebSocketConstructor } from './session.js'

/** What `connect` can be told. */
export interface ConnectOptions {
  /** Gives the token for an attempt to connect; called for each one. */
  readonly token?: () => string | Promise<string>
  /** Where rooms are kept beside the relay; `device` (IndexedDB, where there is one) by default. */
  readonly storage?: 'device' | 'memory'
  /**
   * Who uses this browser, when several people may: what the device keeps for one of them, no other
   * one gets to see. A name that stays the same over visits; it never leaves the device.
   */
  readonly user?: string
  /** The WebSocket to use instead of the environment's own. */
  readonly webSocket?: WebSocketConstructor
}

/** The rooms of one relay, over one connection. */
export class Client implements Disposer {
  /** The address of the relay. */
  readonly url: string
  readonly #session: Session
  readonly #rooms = new Map<string, Shared>()
  #isDisposed = false

  static {
    makeDisposable(this.prototype)
  }

  /** @internal */
  constructor(platform: Platform, url: string, options: ConnectOptions) {
    this.url = checkUrl(url)
    this.#session = new Session(platform, { url: this.url, ...checkOptions(options, platform) })
  }

  /**
   * A share in a room, to be disposed. `S` is what the app's peers show as presence.
   */
  room<S extends object = Record<string, unknown>>(name: string, options: RoomOptions = {}): Room<S> {
    if (this.#isDisposed) throw apiError('api.disposed', 'the client was disposed')
    checkRoomName(name)
    const refused = checkRefused(options)
    const shared = this.#rooms.get(name) ?? { session: new RoomSession(this.#session, name), shares: 0 }
    this.#rooms.set(name, shared)
    shared.shares += 1
    if (refused !== undefined) shared.session.keepRefused(refused === 'keep')
    return new Room(shared.session, () => {
      this.#release(name, shared)
    })
  }

  /** The room stays for whoever asks again at once, as frameworks do that mount twice. */
  #release(name: string, shared: Shared): void {
    shared.shares -= 1
    queueMicrotask(() => {
      if (shared.shares > 0 || this.#rooms.get(name) !== shared) return
      this.#rooms.delete(name)
      shared.session.close()
    })
  }

  /** Leaves all rooms and closes the connection. Edits so far are sent before. */
  dispose(): void {
    if (this.#isDisposed) return
    this.#isDisposed = true
    for (const { session } of this.#rooms.values()) session.close()
    this.#rooms.clear()
    this.#session.dispose()
  }
}

interface Shared {
  readonly session: RoomSession
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
