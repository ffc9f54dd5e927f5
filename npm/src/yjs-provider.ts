// A provider as the bindings of Yjs expect one.

import { Awareness } from 'y-protocols/awareness'
import * as Y from 'yjs'
import { checkFunction, checkString } from './argument.js'
import type { Disposer } from './disposer.js'
import type { CoweaveError } from './error.js'
import { report } from './listeners.js'
import type { Room } from './room.js'
import { type YjsBinding, bindYjs, checkDoc, checkOptions } from './yjs-binding.js'

/** What `yjsProvider` can be told. */
export interface YjsProviderOptions {
  /** The document that the editor uses; by default the provider makes one. */
  readonly doc?: Y.Doc
  /** The awareness that the editor uses; by default the provider makes one. */
  readonly awareness?: Awareness
  /** Whether to connect at once; `true` by default. */
  readonly connect?: boolean
}

/** How a provider stands to the relay. */
export type YjsProviderStatus = 'connected' | 'connecting' | 'disconnected'

/** What a provider tells; the names are those of y-websocket. To listen to others does no harm. */
export interface YjsProviderEvents {
  /** The document has, or has no more, everything that the relay has. */
  readonly sync: (isSynced: boolean) => void
  /** The same. */
  readonly synced: (isSynced: boolean) => void
  /** `status` is another one. */
  readonly status: (event: { readonly status: YjsProviderStatus }) => void
  /** The document holds what the room will not have: see `YjsBindingStatus`. */
  readonly stopped: (error: CoweaveError) => void
  /** Never told: Lexical listens to it, because some providers change their document. */
  readonly reload: (doc: Y.Doc) => void
  /** Never told, likewise: the document tells its updates. */
  readonly update: (update: unknown) => void
}

type Calls = { readonly [E in keyof YjsProviderEvents]: Set<YjsProviderEvents[E]> }

/** A Y.Doc and a room in step, with the surface of a provider. */
export class YjsProvider {
  /** The room that is bound. */
  readonly room: Room<object>
  /** The document that is kept in step with it. */
  readonly doc: Y.Doc
  /** What the peers show each other. */
  readonly awareness: Awareness
  readonly #ownsAwareness: boolean
  readonly #calls: Calls = {
    sync: new Set(),
    synced: new Set(),
    status: new Set(),
    stopped: new Set(),
    reload: new Set(),
    update: new Set(),
  }
  readonly #subscriptions: readonly Disposer[]
  #binding: YjsBinding | undefined
  #status: YjsProviderStatus = 'disconnected'
  #isSynced = false
  #error: CoweaveError | undefined
  #isDestroyed = false

  /** @internal */
  constructor(room: Room<object>, { doc, awareness, connect = true }: YjsProviderOptions) {
    this.room = room
    this.doc = doc ?? new Y.Doc()
    this.awareness = awareness ?? new Awareness(this.doc)
    this.#ownsAwareness = awareness === undefined
    this.#subscriptions = [
      room.on('status', () => {
        this.#look()
      }),
      // Also while it is disconnected: what was set aside does not come back with it.
      room.on('set-aside', ({ error }) => {
        this.#stop(error)
      }),
    ]
    if (connect) this.connect()
    if (this.#status === 'connected') this.#tellLater()
  }

  /** Of a room that is in step already, whoever makes the provider is told when it can listen. */
  #tellLater(): void {
    const binding = this.#binding
    queueMicrotask(() => {
      if (this.#binding !== binding || this.#status !== 'connected') return
      this.#tell('status', { status: this.#status })
      if (!this.#isSynced) return
      this.#tell('sync', true)
      this.#tell('synced', true)
    })
  }

  /** Whether the document has everything that the relay has. */
  get synced(): boolean {
    return this.#isSynced
  }

  /** How the room stands to the relay, in the words of providers. */
  get status(): YjsProviderStatus {
    return this.#status
  }

  /** Whether `connect` was called last, and not `disconnect`. */
  get shouldConnect(): boolean {
    return this.#binding !== undefined
  }

  /** Keeps the document in step with the room from here on. Throws `api.disposed` for a room that was. */
  connect(): void {
    if (this.#isDestroyed || this.#error !== undefined || this.#binding !== undefined) return
    const binding = bindYjs(this.room, this.doc, { awareness: this.awareness })
    this.#binding = binding
    binding.on('status', status => {
      if (status.state === 'stopped') this.#stop(status.error)
      else if (status.state === 'disposed') this.disconnect()
      else this.#look()
    })
    const { status } = binding
    if (status.state === 'stopped') {
      // Whoever makes the provider listens when it is there.
      queueMicrotask(() => {
        this.#stop(status.error)
      })
    }
    this.#look()
  }

  /** Leaves the document as it is. The room is not left: others may use it. */
  disconnect(): void {
    const binding = this.#binding
    this.#binding = undefined
    binding?.dispose()
    this.#look()
  }

  /** Calls a function when something happens, with what `YjsProviderEvents` says. */
  on<E extends keyof YjsProviderEvents>(event: E, listener: YjsProviderEvents[E]): void {
    checkFunction(listener, 'the listener')
    this.#of(event).add(listener)
  }

  /** Calls a function the next time that something happens. */
  once<E extends keyof YjsProviderEvents>(event: E, listener: YjsProviderEvents[E]): void {
    checkFunction(listener, 'the listener')
    const call = ((value: never): void => {
      this.off(event, call)
      ;(listener as (value: never) => void)(value)
    }) as YjsProviderEvents[E]
    this.#of(event).add(call)
  }

  /** Calls a function no more. */
  off<E extends keyof YjsProviderEvents>(event: E, listener: YjsProviderEvents[E]): void {
    this.#of(event).delete(listener)
  }

  #of<E extends keyof YjsProviderEvents>(event: E): Set<YjsProviderEvents[E]> {
    const name = checkString(event, 'the event')
    // Who knows other providers may listen to what they tell.
    return Object.hasOwn(this.#calls, name) ? this.#calls[event] : new Set()
  }

  #tell<E extends keyof YjsProviderEvents>(event: E, value: Parameters<YjsProviderEvents[E]>[0]): void {
    for (const call of [...this.#calls[event]] as ((told: typeof value) => void)[]) {
      try {
        call(value)
      } catch (error) {
        report(error)
      }
    }
  }

  #look(): void {
    const status = this.#statusNow()
    const state = this.#binding?.status.state
    const isSynced = status === 'connected' && (state === 'bound' || state === 'apart')
    if (status !== this.#status) {
      this.#status = status
      this.#tell('status', { status })
    }
    if (isSynced !== this.#isSynced) {
      this.#isSynced = isSynced
      this.#tell('sync', isSynced)
      this.#tell('synced', isSynced)
    }
  }

  #statusNow(): YjsProviderStatus {
    if (this.#binding === undefined) return 'disconnected'
    switch (this.room.status.state) {
      case 'live':
        return 'connected'
      case 'opening':
      case 'connecting':
      case 'syncing':
        return 'connecting'
      default:
        return 'disconnected'
    }
  }

  #stop(error: CoweaveError): void {
    if (this.#error !== undefined || this.#isDestroyed) return
    this.#error = error
    this.disconnect()
    this.#tell('stopped', error)
  }

  /** Ends it for good. The room and the document stay. */
  destroy(): void {
    if (this.#isDestroyed) return
    this.disconnect()
    this.#isDestroyed = true
    for (const subscription of this.#subscriptions) subscription.dispose()
    for (const calls of Object.values(this.#calls)) calls.clear()
    if (this.#ownsAwareness) this.awareness.destroy()
  }
}

/** A provider for a room, to be given to what is made for Yjs. Throws as `bindYjs`. */
export function yjsProvider(room: Room<object>, options: YjsProviderOptions = {}): YjsProvider {
  checkOptions(room, options)
  if (options.doc !== undefined) checkDoc(options.doc)
  return new YjsProvider(room, options)
}
