// One session of the wasm module: when it is started, when it runs, and where its news go.

import { BrowserTabs } from './browser-tabs.js'
import { Copies } from './copies.js'
import { wakeDatabase } from './database.js'
import { type CoweaveError, apiError, guarded, toError, trapError } from './error.js'
import { Deferred } from './deferred.js'
import { noteDatabase } from './device-note.js'
import type { Figures } from './figures.js'
import { watchHints } from './hints.js'
import { Instance } from './instance.js'
import { within } from './limit.js'
import { Listeners, report } from './listeners.js'
import type { RoomLog } from './room-log.js'
import { type SessionKey, browserKey, ownKey, toHex } from './session-key.js'
import { type Batch, type ChangeView, type RoomView, savedTiers } from './view.js'
import type { WasmClasses, WasmClient, WasmKeeper, WasmRoom } from './wasm.js'

/** An instance that traps again and again meets something that it cannot bear. */
const RESTARTS_MAX = 3
const RESTARTS_MS = 60_000

/** Rooms that were closed while an instance trapped have so long to bring their last edits. */
const LAST_WORDS_MS_MAX = 3_000

/** An app that does not know its token by now is asked again. */
const TOKEN_MS_MAX = 8_000

/** What differs between the entries of the package. */
export interface Platform {
  /** Loads the wasm module, once. */
  readonly module: () => Promise<WebAssembly.Module>
  /** The WebSocket of the environment, when it has one. */
  readonly webSocket: WebSocketConstructor | undefined
}

/** A WebSocket as in browsers; the one of the package `ws` will do. */
export type WebSocketConstructor = new (url: string, protocol: string) => { close(): void }

/** What a session is made of, checked. */
export interface SessionSettings {
  readonly url: string
  readonly webSocket: WebSocketConstructor
  readonly token: (() => string | Promise<string>) | undefined
  readonly storage: 'device' | 'memory'
  readonly user: string | undefined
}

/** Where the news of a room go. */
export interface Receiver {
  readonly name: string
  /** Where the module's news of the document are noted. */
  readonly log: RoomLog
  /** From here on they are about another document. */
  began(): void
  /** An own edit was made. */
  edited(update: Uint8Array): void
  /** Something else came into the document. */
  other(update: Uint8Array): void
  /** Takes the news in; the answer tells the app. */
  receive(batch: Batch, changes: readonly ChangeView[]): readonly (() => void)[]
  /** Notes what is saved now: news for the next `told`. */
  noteSaved(saved: RoomView['saved'], isOnDevice: boolean): void
  /** The app was given all news so far, but for those that are added to these. */
  told(news: (() => void)[]): void
  /** Shortens the log when it has become long. */
  fold(): void
  /** Goes on with a room of another instance. */
  restore(room: WasmRoom): void
  /** The session cannot go on. */
  fail(error: CoweaveError): readonly (() => void)[]
}

const done: Promise<void> = Promise.resolve()

/** Rooms of an instance by their keys. */
type Receivers = ReadonlyMap<number, Receiver>

/** The wasm module's session, and the turn-taking with the app. */
export class Session {
  /** Rejects when the module cannot be loaded. */
  readonly started: Promise<void>
  /** After the news of rooms were taken in, and after a room was closed. */
  readonly settled: Listeners<undefined> = new Listeners()
  /** At each edit, before anybody else knows of it. */
  readonly edited: Listeners<undefined> = new Listeners()
  readonly copies: Copies = new Copies(this)
  readonly #settings: SessionSettings
  readonly #onRestart: (error: CoweaveError) => void
  /** By this the relay knows the session again, whichever tab, instance or connection it is on. */
  readonly #key: SessionKey
  #module: WebAssembly.Module | undefined
  #instance: Instance | undefined
  #tabs: BrowserTabs | undefined
  #wasm: WasmClient | undefined
  /** The last ones that were made: an instance that trapped leaves them behind. */
  #socket: { close(): void } | undefined
  #database: { close(): void } | undefined
  readonly #hints = new AbortController()
  /** What the module was asked for, and has not answered. */
  readonly #asked = new Set<{ reject(error: Error): void }>()
  #error: CoweaveError | undefined
  #isDisposed = false
  #isRestarting = false
  /** The room that the module has open on its own, for edits that were left on the device. */
  #carried: string | undefined
  /** Those of them with which an instance trapped. */
  readonly #leftAlone = new Set<string>()
  /** When the latest instances trapped. */
  #trappedAt: readonly number[] = []
  #receivers = new Map<number, Receiver>()
  /** What the app has not yet been told. */
  #untold: (() => void)[] = []
  #isScheduled = false
  readonly #turn = (): void => {
    this.#isScheduled = false
    this.#settle()
    const untold = this.#untold
    this.#untold = []
    for (const tell of untold) tell()
  }

  /** `onRestart` tells the app. */
  constructor(
    platform: Platform,
    settings: SessionSettings,
    onRestart: (error: CoweaveError) => void,
  ) {
    this.#settings = settings
    const { url, user, storage } = settings
    // Tabs of different people have nothing to tell each other, and who keeps nothing is alone.
    this.#key = storage === 'device' ? browserKey(`${url} ${user ?? ''}`) : ownKey()
    this.#onRestart = onRestart
    if (settings.storage === 'device') wakeDatabase()
    watchHints(() => {
      this.#probe()
    }, this.#hints.signal)
    this.started = platform.module().then(
      module => {
        this.#module = module
        if (!this.#isDisposed) this.#startFirst(module)
      },
      (error: unknown) => {
        this.#error = error as CoweaveError
        throw this.#error
      },
    )
    this.started.catch(() => undefined)
  }

  #startFirst(module: WebAssembly.Module): void {
    try {
      guarded(() => {
        this.#start(module)
      })
    } catch (error) {
      // After a trap another instance may run by now.
      if (this.#wasm !== undefined) return
      this.#error ??= error as CoweaveError
      throw this.#error
    }
  }

  #start(module: WebAssembly.Module): WasmClient {
    const { url, webSocket, token, storage, user } = this.#settings
    // The app's function runs in a microtask of its own, when Rust has returned.
    const ask = token && (async (): Promise<string> => {
      await Promise.resolve()
      return within(TOKEN_MS_MAX, token, this.#hints.signal)
    })
    const makeSocket = (address: string, protocol: string): object => {
      const socket = new webSocket(address, protocol)
      this.#socket = socket
      const onmessage = ({ data }: { readonly data: ArrayBuffer | string }): void => {
        try {
          wasm.receive(typeof data === 'string' ? undefined : new Uint8Array(data))
        } catch {
          // A trap was seen to already, and there is nobody to be told.
        }
      }
      // Failures are told by the close event; the one of `ws` ends the process when nobody listens.
      return Object.assign(socket, { onmessage, onerror: () => undefined })
    }
    const notify = (): void => {
      this.schedule()
    }
    const instance = new Instance(module, cause => {
      this.#trapped(cause)
    })
    this.#instance = instance
    const { bytes, isShared } = this.#key
    const tabs = isShared ? BrowserTabs.find(`coweave ${url} ${toHex(bytes)}`) : undefined
    this.#tabs = tabs
    const onDevice = storage === 'device'
    const keeper: WasmKeeper = {
      ...keeperOf(this.#receivers),
      opened: (database, isNew) => {
        // One that goes while it is in use takes nothing with it: the rooms write themselves anew.
        const isFirst = this.#database === undefined
        this.#database = database
        return noteDatabase() && isNew && isFirst
      },
      carry: name => {
        this.#carried = name
      },
    }
    const wasm = new instance.classes.Client(
      url, makeSocket, ask, onDevice, user, bytes, notify, keeper, tabs?.id, tabs?.way,
    )
    this.#wasm = wasm
    for (const name of this.#leftAlone) wasm.leaveAlone(name)
    tabs?.enter(wasm)
    return wasm
  }

  /** Opens a room in the module; only after `started`. */
  open(receiver: Receiver): WasmRoom {
    const wasm = this.use()
    const room = guarded(() => wasm.openRoom(receiver.name))
    this.#receivers.set(room.key, receiver)
    this.schedule()
    return room
  }

  /** The module's session, for what needs no room. */
  use(): WasmClient {
    if (this.#error !== undefined) throw this.#error
    if (this.#wasm === undefined) throw apiError('api.disposed', 'the client was disposed')
    return this.#wasm
  }

  /** What the module promises. An instance that is gone before it answers is no answer. */
  async ask<T>(use: (wasm: WasmClient) => Promise<T>): Promise<T> {
    for (;;) {
      const wasm = this.use()
      const asked = new Deferred<T>()
      this.#asked.add(asked)
      try {
        use(wasm).then(value => {
          asked.resolve(value)
        }, (thrown: unknown) => {
          asked.reject(toError(thrown))
        })
        return await asked.promise
      } catch (thrown) {
        if (this.#wasm === wasm || this.#error !== undefined) throw toError(thrown)
      } finally {
        this.#asked.delete(asked)
      }
    }
  }

  #endAsked(error: CoweaveError): void {
    for (const asked of this.#asked) asked.reject(error)
  }

  #probe(): void {
    try {
      this.#wasm?.probe()
    } catch {
      // A trap was seen to already, and there is nobody to be told.
    }
  }

  close(room: WasmRoom): void {
    guarded(() => {
      room.close()
    })
    this.#receivers.delete(room.key)
    room.free()
    this.settled.notify(undefined)
  }

  /** An update of texts, to be brought as a first content. */
  seedUpdate(texts: Readonly<Record<string, string>>): Uint8Array {
    const { Room } = this.classes()
    return guarded(() => Room.seedUpdate(Object.keys(texts), Object.values(texts)))
  }

  /** What the present instance of the module offers. */
  classes(): WasmClasses {
    if (this.#error !== undefined) throw this.#error
    if (this.#instance === undefined) throw apiError('api.disposed', 'the client was disposed')
    return this.#instance.classes
  }

  /** Lets the module run, and tells the app its news, when the present code of the app is done. */
  schedule(): void {
    if (this.#isScheduled) return
    // In Node it costs much less than `queueMicrotask`.
    void done.then(this.#turn)
    // Last: there may be no stack for the call.
    this.#isScheduled = true
  }

  /** Lets the module run now; the app is told later. */
  settle(): void {
    this.#settle()
    if (this.#untold.length > 0) this.schedule()
  }

  #settle(): void {
    const wasm = this.#wasm
    if (wasm === undefined || this.#error !== undefined) return
    try {
      this.#receive(wasm.drain())
      for (const receiver of this.#receivers.values()) receiver.told(this.#untold)
      // Last, because it may be too much for the module: what was told is not told again.
      for (const receiver of this.#receivers.values()) receiver.fold()
    } catch (error) {
      // A trap was seen to already, and the edits go out with the next turn.
      if (wasm === this.#wasm) report(error)
    }
    this.settled.notify(undefined)
  }

  #receive(news: string | undefined): void {
    if (news === undefined) return
    const [batches, changes] = JSON.parse(news) as [readonly Batch[], readonly ChangeView[][]]
    for (const [at, batch] of batches.entries()) {
      const receiver = this.#receivers.get(batch.room)
      if (receiver === undefined) continue
      this.#untold.push(...receiver.receive(batch, changes[at] ?? []))
      receiver.told(this.#untold)
    }
  }

  /** The instance is gone, and nothing of it can be trusted: another one goes on from the logs. */
  #trapped(cause: unknown): void {
    this.#socket?.close()
    this.#database?.close()
    this.#tabs?.leave()
    if (this.#carried !== undefined) this.#leftAlone.add(this.#carried)
    this.#carried = undefined
    if (this.#isDisposed || this.#isRestarting) return
    const now = performance.now()
    this.#trappedAt = [...this.#trappedAt.filter(at => at > now - RESTARTS_MS), now]
    const error = trapError(cause)
    const module = this.#module
    if (module === undefined || this.#trappedAt.length > RESTARTS_MAX) {
      this.#fail(error)
      return
    }
    const before = this.#receivers
    this.#isRestarting = true
    try {
      this.#restart(module, before)
      this.#untold.push(() => {
        this.#onRestart(error)
      })
    } catch (again) {
      // Perhaps for want of stack or memory: there is more of it when the present code is done.
      this.#receivers = before
      this.#wasm = undefined
      queueMicrotask(() => {
        this.#trapped(again)
      })
    } finally {
      this.#isRestarting = false
    }
    this.#endAsked(error)
    this.schedule()
  }

  #restart(module: WebAssembly.Module, before: Receivers): void {
    this.#wasm = undefined
    const receivers = new Map<number, Receiver>()
    this.#receivers = receivers
    const wasm = this.#start(module)
    for (const receiver of before.values()) {
      const room = wasm.openRoom(receiver.name)
      receivers.set(room.key, receiver)
      receiver.restore(room)
    }
  }

  #fail(error: CoweaveError): void {
    this.#error = error
    this.#wasm = undefined
    this.#endAsked(error)
    for (const receiver of this.#receivers.values()) this.#untold.push(...receiver.fail(error))
    this.schedule()
  }

  /** What a developer gets to see. */
  debug(): {
    readonly module: 'loading' | 'running' | 'failed' | 'disposed'
    readonly restarts: number
    readonly error: CoweaveError | undefined
    readonly figures: Figures | null
  } {
    const error = this.#error
    const module = this.#isDisposed ? 'disposed'
      : error !== undefined ? 'failed' : this.#wasm === undefined ? 'loading' : 'running'
    const restarts = this.#trappedAt.filter(at => at > performance.now() - RESTARTS_MS).length
    const wasm = module === 'running' ? this.#wasm : undefined
    const figures = wasm === undefined ? null : guarded(() => wasm.debug())
    return { module, restarts, error, figures }
  }

  /** Ends the session; its rooms are closed before. What another instance took over goes out first. */
  dispose(): void {
    this.#isDisposed = true
    this.#hints.abort()
    if (this.#receivers.size === 0) {
      this.#end()
      return
    }
    const timer = setTimeout(() => {
      this.#end()
    }, LAST_WORDS_MS_MAX)
    this.settled.add(() => {
      if (this.#receivers.size > 0) return
      clearTimeout(timer)
      this.#end()
    })
  }

  #end(): void {
    const wasm = this.#wasm
    this.#wasm = undefined
    this.#endAsked(apiError('api.disposed', 'the client was disposed'))
    if (wasm === undefined) return
    try {
      wasm.dispose()
      wasm.free()
    } catch (cause) {
      report(trapError(cause))
    }
    this.#tabs?.leave()
  }
}

/** Puts what the module says of a room into its log. */
function keeperOf(receivers: Receivers): Omit<WasmKeeper, 'opened' | 'carry'> {
  return {
    edited: (room, update) => receivers.get(room)?.edited(update),
    own: (room, number, update) => receivers.get(room)?.log.own(number, update),
    adopted: (room, number, update) => receivers.get(room)?.log.adopted(number, update),
    other: (room, update) => receivers.get(room)?.other(update),
    durable: (room, through) => receivers.get(room)?.log.durable(through),
    history: (room, lineage, epoch) => receivers.get(room)?.log.history(lineage, epoch),
    began: room => receivers.get(room)?.began(),
    saved: (room, tier, pending, isOnDevice) => {
      receivers.get(room)?.noteSaved({ tier: savedTiers[tier] ?? 'memory', pending }, isOnDevice)
    },
  }
}
