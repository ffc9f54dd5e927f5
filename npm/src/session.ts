// One session of the wasm module: when it is started, when it runs, and where its news go.

import { Copies } from './copies.js'
import { CoweaveError, apiError, guarded, loadError } from './error.js'
import type { Figures } from './figures.js'
import { within } from './limit.js'
import { Listeners, report } from './listeners.js'
import type { Batch } from './view.js'
import { WasmClient, type WasmRoom } from './wasm.js'

/** An app that does not know its token by now is asked again. */
const TOKEN_MS_MAX = 8_000

/** What differs between the entries of the package. */
export interface Platform {
  /** Loads the wasm module, once. */
  readonly ready: () => Promise<void>
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
  /** Takes the news in; the answer tells the app. */
  receive(batch: Batch): readonly (() => void)[]
  /** The session cannot go on. */
  fail(error: CoweaveError): readonly (() => void)[]
}

/** The wasm module's session, and the turn-taking with the app. */
export class Session {
  /** Rejects when the module cannot be loaded. */
  readonly started: Promise<void>
  /** After the news of rooms were taken in, and after a room was closed. */
  readonly settled: Listeners<undefined> = new Listeners()
  #wasm: WasmClient | undefined
  /** The last one that was made. */
  #socket: { close(): void } | undefined
  #error: CoweaveError | undefined
  #isDisposed = false
  readonly copies: Copies = new Copies(this)
  readonly #receivers = new Map<number, Receiver>()
  /** What the app has not yet been told. */
  #untold: (() => void)[] = []
  #isScheduled = false

  constructor(platform: Platform, settings: SessionSettings) {
    this.started = platform.ready().then(
      () => {
        if (!this.#isDisposed) this.#wasm = this.#start(settings)
      },
      (cause: unknown) => {
        this.#error = loadError(cause)
        throw this.#error
      },
    )
    this.started.catch(() => undefined)
  }

  #start({ url, webSocket, token, storage, user }: SessionSettings): WasmClient {
    // The app's function runs in a microtask of its own, when Rust has returned.
    const ask = token && (async (): Promise<string> => {
      await Promise.resolve()
      return within(TOKEN_MS_MAX, token())
    })
    const makeSocket = (address: string, protocol: string): object => {
      const socket = new webSocket(address, protocol)
      this.#socket = socket
      // Failures are told by the close event; the one of `ws` ends the process when nobody listens.
      return Object.assign(socket, { onerror: () => undefined })
    }
    const notify = (): void => {
      this.schedule()
    }
    const onDevice = storage === 'device'
    return guarded(() => new WasmClient(url, makeSocket, ask, onDevice, user, notify))
  }

  /** Opens a room in the module; only after `started`. */
  open(name: string, receiver: Receiver): WasmRoom {
    const wasm = this.use()
    const room = guarded(() => wasm.openRoom(name))
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

  close(room: WasmRoom): void {
    this.#receivers.delete(room.key)
    guarded(() => {
      room.close()
      room.free()
    })
    this.settled.notify(undefined)
  }

  /** Lets the module run, and tells the app its news, when the present code of the app is done. */
  schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    queueMicrotask(() => {
      this.#isScheduled = false
      this.settle()
      const untold = this.#untold
      this.#untold = []
      for (const tell of untold) tell()
    })
  }

  /** Lets the module run now; the app is told later. */
  settle(): void {
    const wasm = this.#wasm
    if (wasm === undefined || this.#error !== undefined) return
    try {
      const batches = JSON.parse(guarded(() => wasm.drain())) as readonly Batch[]
      for (const batch of batches) {
        const receiver = this.#receivers.get(batch.room)
        if (receiver !== undefined) this.#untold.push(...receiver.receive(batch))
      }
    } catch (error) {
      this.#break(error)
    }
    this.settled.notify(undefined)
    if (this.#untold.length > 0) this.schedule()
  }

  /** After a trap nothing in the module can be trusted; what was written to the device is safe. */
  #break(error: unknown): void {
    if (!(error instanceof CoweaveError)) {
      report(error)
      return
    }
    this.#error = error
    this.#socket?.close()
    for (const receiver of this.#receivers.values()) this.#untold.push(...receiver.fail(error))
  }

  /** What a developer gets to see. */
  debug(): {
    readonly module: 'loading' | 'running' | 'failed' | 'disposed'
    readonly error: CoweaveError | undefined
    readonly figures: Figures | null
  } {
    const error = this.#error
    const module = this.#isDisposed ? 'disposed'
      : error !== undefined ? 'failed' : this.#wasm === undefined ? 'loading' : 'running'
    return { module, error, figures: module === 'running' ? this.#wasm?.debug() ?? null : null }
  }

  /** Ends the session; its rooms are closed before. */
  dispose(): void {
    this.#isDisposed = true
    const wasm = this.#wasm
    this.#wasm = undefined
    if (wasm === undefined || this.#error !== undefined) return
    guarded(() => {
      wasm.dispose()
      wasm.free()
    })
  }
}
