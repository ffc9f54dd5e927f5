// A Y.Doc kept in step with the document of a room, in both directions.

import { Awareness } from 'y-protocols/awareness'
import * as Y from 'yjs'
import { checkEvent, checkFunction, wrongType } from './argument.js'
import { type Disposer, makeDisposable } from './disposer.js'
import { CoweaveError } from './error.js'
import { Listeners, report } from './listeners.js'
import type { Room } from './room.js'
import { AwarenessBridge } from './yjs-awareness.js'

/** What `bindYjs` can be told. */
export interface BindOptions {
  /** The awareness that the editor uses; by default the binding makes one. */
  readonly awareness?: Awareness
}

/** How a Y.Doc stands to its room. */
export type YjsBindingStatus =
  /** What this device has of the room is being read. */
  | { readonly state: 'opening' }
  /** In step with the room, whether that is in step with the relay or not. */
  | { readonly state: 'bound' }
  /**
   * This session may only read, and something was written into the Y.Doc: that stays there alone,
   * until the session may write. What others write still comes.
   */
  | { readonly state: 'apart'; readonly error: CoweaveError }
  /**
   * The Y.Doc holds what the room will not have: its document was set aside, or an update was
   * refused. Both stay as they are; a new Y.Doc can be bound.
   */
  | { readonly state: 'stopped'; readonly error: CoweaveError }
  | { readonly state: 'disposed' }

/** A Y.Doc and a room in step. */
export class YjsBinding implements Disposer {
  /** The room that is bound. */
  readonly room: Room<object>
  /** The document that is kept in step with it. */
  readonly doc: Y.Doc
  /** Shows the peers of the room, and its own state to them as `room.presence`. */
  readonly awareness: Awareness
  #status: YjsBindingStatus = { state: 'opening' }
  readonly #listeners: Listeners<YjsBindingStatus> = new Listeners()
  readonly #bridge: AwarenessBridge
  readonly #ownsAwareness: boolean
  readonly #share: Disposer
  #subscriptions: readonly Disposer[] = []

  /** As `dispose`, for `using`. */
  declare [Symbol.dispose]: () => void

  static {
    makeDisposable(this.prototype)
  }

  /** @internal */
  constructor(room: Room<object>, doc: Y.Doc, awareness: Awareness | undefined) {
    this.room = room
    this.doc = doc
    this.#share = room.own(this)
    this.awareness = awareness ?? new Awareness(doc)
    this.#ownsAwareness = awareness === undefined
    this.#bridge = new AwarenessBridge(room, this.awareness, this)
    doc.on('destroy', this.#onDestroy)
    this.#open()
  }

  /** How the Y.Doc stands to the room; the same object as long as nothing changes. */
  get status(): YjsBindingStatus {
    return this.#status
  }

  /** Calls a function when the status changes. Throws `api.wrong_type` for another event. */
  on(event: 'status', listener: (status: YjsBindingStatus) => void): Disposer {
    checkEvent(event, ['status'])
    checkFunction(listener, 'the listener')
    return this.#listeners.add(listener)
  }

  #open(): void {
    try {
      this.#attach()
    } catch (error) {
      if (!(error instanceof CoweaveError)) {
        // Nobody else can let go of it.
        this.dispose()
        throw error
      }
      if (error.code !== 'api.not_ready') {
        this.#stop(error)
        return
      }
      this.room.loaded.then(() => {
        if (this.#status.state === 'opening') this.#attach()
      }).catch((error: unknown) => {
        this.#stop(error as CoweaveError)
      })
    }
  }

  #attach(): void {
    const { doc } = this.room
    const lacking = doc.encodeDifference(Y.encodeStateVector(this.doc))
    this.#subscriptions = [
      doc.on('update', (update, { origin }) => {
        if (origin !== this) this.#take(update)
      }),
      this.room.on('set-aside', ({ error }) => {
        this.#stop(error)
      }),
      this.room.on('role', role => {
        if (role === 'editor' && this.#status.state === 'apart') this.#rejoin()
      }),
    ]
    this.doc.on('update', this.#onUpdate)
    this.doc.on('afterTransaction', this.#onTransaction)
    this.#take(lacking)
    this.#rejoin()
  }

  /** Both have all that either of them has. */
  #rejoin(): void {
    this.#setStatus({ state: 'bound' })
    this.#bringAll()
  }

  // ---- from the room -------------------------------------------------------------------------

  #take(update: Uint8Array): void {
    const { store } = this.doc
    const isWaiting = store.pendingStructs !== null || store.pendingDs !== null
    try {
      Y.applyUpdate(this.doc, update, this)
    } catch (error) {
      // An observer has thrown; the update is in the document.
      report(error)
    }
    // What waited in the Y.Doc for this came in with it, as if the room had it, too.
    if (isWaiting) this.#bringAll()
  }

  // ---- from the Y.Doc ------------------------------------------------------------------------

  readonly #onUpdate = (update: Uint8Array, origin: unknown): void => {
    if (origin !== this && this.#status.state === 'bound') this.#bring(update)
  }

  /** Of what others wrote, Yjs takes formats away that say nothing, which a viewer may not do. */
  readonly #onTransaction = (transaction: Y.Transaction): void => {
    if (transaction.origin === this && this.room.role === 'viewer') transaction._needFormattingCleanup = false
  }

  #bring(update: Uint8Array): void {
    try {
      this.room.doc.applyUpdate(update, this)
    } catch (error) {
      this.#refused(error as CoweaveError)
    }
  }

  #bringAll(): void {
    if (this.#status.state !== 'bound') return
    try {
      this.#compare()
    } catch (error) {
      this.#refused(error as CoweaveError)
    }
  }

  #compare(): void {
    const { doc, role } = this.room
    const update = withoutWaiting(this.doc, () => {
      return Y.encodeStateAsUpdate(this.doc, doc.encodeStateVector())
    })
    // The room finds out by itself, but not for somebody who may not write.
    if (role === 'viewer' && !isNews(update, doc.encodeState())) return
    doc.applyUpdate(update, this)
  }

  #refused(error: CoweaveError): void {
    if (error.code === 'room.read_only') {
      this.#setStatus({ state: 'apart', error })
    } else if (error.code === 'client.internal' && this.#status.state === 'bound') {
      // Another instance of the module runs by now. When it fails, too, it is the update.
      try {
        this.#compare()
      } catch (again) {
        this.#stop(again as CoweaveError)
      }
    } else {
      this.#stop(error)
    }
  }

  // ---- the end -------------------------------------------------------------------------------

  readonly #onDestroy = (): void => {
    this.dispose()
  }

  #stop(error: CoweaveError): void {
    if (this.#status.state === 'stopped' || this.#status.state === 'disposed') return
    this.#detach()
    this.#setStatus({ state: 'stopped', error })
  }

  #detach(): void {
    for (const subscription of this.#subscriptions) subscription.dispose()
    this.#subscriptions = []
    this.doc.off('update', this.#onUpdate)
    this.doc.off('afterTransaction', this.#onTransaction)
  }

  #setStatus(status: YjsBindingStatus): void {
    if (status.state === this.#status.state) return
    this.#status = status
    this.#listeners.notify(status)
  }

  /** Ends the binding: the Y.Doc and the room stay as they are. Ends by itself with either of them. */
  dispose(): void {
    if (this.#status.state === 'disposed') return
    this.#detach()
    this.#setStatus({ state: 'disposed' })
    this.#listeners.clear()
    this.doc.off('destroy', this.#onDestroy)
    this.#share.dispose()
    this.#bridge.dispose()
    if (this.#ownsAwareness) this.awareness.destroy()
  }
}

/**
 * Keeps a Y.Doc in step with a room: what is in one of them comes into the other, from the time
 * when `room.loaded` is there. The Y.Doc needs no other provider, and no storage of its own. Throws
 * `api.wrong_type` for what is no room, no Y.Doc or no options, and `api.disposed` for a room that was.
 * What goes wrong later is told as the status.
 */
export function bindYjs(room: Room<object>, doc: Y.Doc, options: BindOptions = {}): YjsBinding {
  checkDoc(doc)
  checkOptions(room, options)
  return new YjsBinding(room, doc, options.awareness)
}

/** Types promise nothing at run time. */
export function checkDoc(doc: unknown): void {
  if (!has(doc, 'transact')) throw wrongType('the document', 'a Y.Doc', doc)
}

/** A Y.Doc, or an awareness, is taken for options by who is used to other providers. */
export function checkOptions(room: unknown, options: unknown): void {
  if (!has(room, 'own')) throw wrongType('the room', 'what client.room() gives', room)
  if (typeof options !== 'object' || options === null || has(options, 'on')) {
    throw wrongType('the options', 'an object such as { awareness }', options)
  }
  const { awareness } = options as BindOptions
  if (awareness !== undefined && !has(awareness, 'getLocalState')) {
    throw wrongType('options.awareness', 'an Awareness', awareness)
  }
}

/** Not by its class: another copy of Yjs has another one. */
function has(value: unknown, method: string): boolean {
  return typeof (new Object(value) as Record<string, unknown>)[method] === 'function'
}

/** What a Y.Doc received and cannot use yet is not for the room. */
function withoutWaiting<T>({ store }: Y.Doc, call: () => T): T {
  const { pendingStructs, pendingDs } = store
  store.pendingStructs = null
  store.pendingDs = null
  try {
    return call()
  } finally {
    store.pendingStructs = pendingStructs
    store.pendingDs = pendingDs
  }
}

/** Whether there is something in a difference that is not in the state. */
function isNews(difference: Uint8Array, state: Uint8Array): boolean {
  const { structs, ds } = Y.decodeUpdate(difference)
  if (structs.length > 0) return true
  const known = Y.decodeUpdate(state).ds
  return [...ds.clients].some(([client, ranges]) => {
    const deleted = [...known.clients.get(client) ?? []].sort((one, other) => one.clock - other.clock)
    return ranges.some(({ clock, len }) => {
      let end = clock
      for (const range of deleted) if (range.clock <= end) end = Math.max(end, range.clock + range.len)
      return end < clock + len
    })
  })
}
