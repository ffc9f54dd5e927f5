// One room as all its handles share it.

import type { SetAsideCopy } from './copies.js'
import { Deferred } from './deferred.js'
import { Cleanup, type Disposer } from './disposer.js'
import { CoweaveError, apiError, guarded } from './error.js'
import { FrameSchedule } from './frame.js'
import { Listeners } from './listeners.js'
import type { Figures } from './figures.js'
import { RoomLog } from './room-log.js'
import type { Receiver, Session } from './session.js'
import { SharedNodes } from './shared-nodes.js'
import type { NodeId } from './shared.js'
import type { Undo } from './undo.js'
import { type UpdateListener, Updates } from './updates.js'
import type { Batch, ChangeView, PeerView, Role, RoomView, SavedTier } from './view.js'
import type { WasmNode, WasmRoom } from './wasm.js'
import type { Kind } from './kind.js'

/** How a room stands to the relay. */
export type RoomStatus =
  /** What this device has is being read. */
  | { readonly state: 'opening' }
  /** On the way to the relay, or catching up. */
  | { readonly state: 'connecting' }
  /** The first sync is under way: so many bytes of so many are here. */
  | { readonly state: 'syncing'; readonly received: number; readonly total: number }
  /** In step with the relay. */
  | { readonly state: 'live' }
  /** The relay cannot be reached; work goes on. `retryAt` is a time as of `Date.now()`. */
  | {
    readonly state: 'offline'
    readonly retryAt: number | null
    /** Why, when it is known. */
    readonly error: CoweaveError | null
  }
  /** Trying again would not help. */
  | { readonly state: 'stopped'; readonly error: CoweaveError }
  /** This handle was disposed, or its client. */
  | { readonly state: 'disposed' }

/** What is true of every own edit, and how many are not known to be durable on the relay. */
export interface Saved {
  readonly tier: SavedTier
  readonly pending: number
}

/** Where this device keeps the room. */
export type RoomStorage =
  /** In IndexedDB. */
  | { readonly kind: 'device' }
  /**
   * In IndexedDB, which also holds something of the room that cannot be used any more. It is left as
   * it is, and the relay is asked for everything; what is written from here on is kept.
   */
  | { readonly kind: 'damaged'; readonly error: CoweaveError }
  /** In memory only: there is no IndexedDB, or the app does not want it. */
  | { readonly kind: 'memory' }
  /** In memory only, because IndexedDB failed; it is tried again, and then gets all that it lacks. */
  | { readonly kind: 'lost'; readonly error: CoweaveError }

/**
 * An own edit that the relay will never take. What becomes of it is the app's choice: see
 * `RoomOptions`.
 */
export interface RefusedEdit {
  readonly error: CoweaveError
}

/** What `room.on` can listen to. */
export interface RoomEvents {
  readonly status: RoomStatus
  readonly saved: Saved
  readonly loaded: undefined
  readonly synced: undefined
  readonly refused: RefusedEdit
  readonly 'set-aside': SetAsideCopy
  readonly role: Role
  /** IndexedDB failed: `storage` is `lost`. Once more when the reason changes. */
  readonly 'storage-lost': CoweaveError
  /** IndexedDB has everything again. */
  readonly 'storage-restored': undefined
  /** Something in IndexedDB cannot be used: `storage` is `damaged`. */
  readonly 'storage-damaged': CoweaveError
}

/** The listeners to each event. */
export type RoomListeners = { readonly [E in keyof RoomEvents]: Listeners<RoomEvents[E]> }

const unopened: RoomView = {
  status: { state: 'opening' },
  saved: { tier: 'durable', pending: 0 },
  storage: { kind: 'memory' },
  isLoaded: false,
  isSynced: false,
  role: 'editor',
  isOnDevice: true,
}

export class RoomSession implements Receiver {
  readonly name: string
  readonly listeners: RoomListeners = {
    status: new Listeners(),
    saved: new Listeners(),
    loaded: new Listeners(),
    synced: new Listeners(),
    refused: new Listeners(),
    'set-aside': new Listeners(),
    role: new Listeners(),
    'storage-lost': new Listeners(),
    'storage-restored': new Listeners(),
    'storage-damaged': new Listeners(),
  }
  readonly loaded: Deferred<undefined> = new Deferred()
  readonly synced: Deferred<undefined> = new Deferred()
  status: RoomStatus = { state: 'opening' }
  storage: RoomStorage = { kind: 'memory' }
  /** What others show, by their ids. */
  peers: readonly { readonly id: number; readonly state: object }[] = []
  readonly peerListeners: Listeners<undefined> = new Listeners()
  /** The room is left as soon as they return. */
  readonly closing: Listeners<undefined> = new Listeners()

  readonly #session: Session
  /** What another instance would go on from. */
  #log: RoomLog = new RoomLog()
  /** Of another document, of which the app was not told yet. */
  #nextLog: RoomLog | undefined
  #wasm: WasmRoom | undefined
  #view: RoomView = unopened
  /** What is saved now, of which the app was not told yet. */
  #savedNext: Pick<RoomView, 'saved' | 'isOnDevice'> | undefined
  readonly #nodes = new SharedNodes()
  /** Of transactions that are not told yet, by number. */
  readonly #origins: unknown[] = []
  readonly #updates: Updates = new Updates()
  readonly #undos = new Set<Undo>()
  #flushes = new Map<number, Deferred<undefined>>()
  #seed: { readonly done: Deferred<boolean>; readonly update: Uint8Array } | undefined
  #presence: string | null = null
  #keepsRefused = false
  readonly #peerFrame: FrameSchedule
  #depth = 0
  #isEdited = false
  #isClosed = false
  /** Another instance took over, and not all that it brought is known to be safe. */
  #isRestored = false

  constructor(session: Session, name: string) {
    this.name = name
    this.#session = session
    this.#peerFrame = new FrameSchedule(() => {
      this.peerListeners.notify(undefined)
    })
    session.started.then(
      () => {
        this.#open()
      },
      (error: unknown) => {
        this.#failNow(error as CoweaveError)
      },
    )
  }

  #open(): void {
    if (this.#isClosed) return
    try {
      this.#enter()
    } catch {
      try {
        // After a trap another instance runs by now.
        this.#enter()
      } catch (error) {
        this.#failNow(error as CoweaveError)
      }
    }
  }

  #enter(): void {
    const wasm = this.#wasm ?? this.#session.open(this)
    this.#wasm = wasm
    guarded(() => {
      if (this.#presence !== null) wasm.setPresence(this.#presence)
      wasm.keepRefused(this.#keepsRefused)
    })
  }

  /** What becomes of edits that the relay refuses for good. */
  keepRefused(keeps: boolean): void {
    this.#keepsRefused = keeps
    guarded(() => this.#wasm?.keepRefused(keeps))
  }

  get role(): Role {
    return this.#view.role
  }

  /** What was set aside of this room, and not dropped. */
  async copies(): Promise<readonly SetAsideCopy[]> {
    await this.#session.started
    return this.#session.copies.list(this.name)
  }

  restore(room: WasmRoom): void {
    const log = this.#log
    // What is restored begins the next log, and the one before stays until all of it is.
    this.#log = new RoomLog()
    this.#nextLog = undefined
    this.#updates.isPaused = true
    try {
      if (this.#view.isLoaded) {
        log.restore(room, () => {
          this.#log.told()
          this.#nodes.restart()
          this.#nodes.restore(room)
        })
        this.#nodes.restore(room)
      }
      for (const undo of this.#undos) undo.restore(room, this.#nodes)
      for (let depth = 0; depth < this.#depth; depth += 1) room.begin(this.#origins.length)
      if (this.#presence !== null) room.setPresence(this.#presence)
      room.keepRefused(this.#keepsRefused)
      this.#restoreRequests(room)
    } catch (error) {
      this.#log = log
      throw error
    } finally {
      this.#updates.isPaused = false
    }
    this.#wasm = room
    this.#isEdited = true
    this.#isRestored = true
    // Nobody is seen without a connection.
    if (this.peers.length > 0) this.#peerFrame.request()
    this.peers = []
  }

  #restoreRequests(room: WasmRoom): void {
    const flushes = [...this.#flushes.values()]
    this.#flushes = new Map(flushes.map(done => [room.flush(), done]))
    if (this.#seed !== undefined) room.seed(this.#seed.update)
  }

  /** Where all own edits are; looks first at those that the module has not seen yet. */
  get saved(): Saved {
    if (this.#isEdited && this.#depth === 0) {
      this.#isEdited = false
      this.#session.settle()
    }
    return this.#view.saved
  }

  /** What the module last told. */
  get view(): RoomView {
    return this.#view
  }

  /** What a developer gets to see. */
  debug(): { readonly view: RoomView; readonly figures: Figures | null } {
    return { view: this.#view, figures: guarded(() => this.#wasm?.debug()) ?? null }
  }

  // ---- the document ---------------------------------------------------------------------------

  /** The module's room, for uses of the document. */
  #document(): WasmRoom {
    const wasm = this.#wasm
    if (this.#isClosed) throw disposedError()
    if (this.#view.isLoaded && wasm !== undefined) return wasm
    if (this.status.state === 'stopped') throw this.status.error
    throw apiError('api.not_ready', 'the document is not there yet: await room.loaded first')
  }

  /** Checks that a name is used for one kind of type only. */
  claim(kind: Kind, name: string): void {
    this.#nodes.claim(kind, name)
  }

  /** Uses a shared type. */
  use<T>(id: NodeId, use: (node: WasmNode) => T): T {
    const room = this.#document()
    return guarded(() => use(this.#nodes.get(room, id)))
  }

  /** Changes a shared type; the change leaves when the present code of the app is done. */
  edit(id: NodeId, edit: (node: WasmNode) => void): void {
    this.use(id, edit)
    this.#isEdited = true
    this.#session.schedule()
  }

  subscribe(
    id: NodeId,
    isDeep: boolean,
    listener: (changes: readonly ChangeView[]) => void,
  ): Disposer {
    const room = this.#document()
    // What was changed so far is told to those who listen so far.
    if (this.#depth === 0) this.#session.settle()
    const subscription = guarded(() => this.#nodes.subscribe(room, id, isDeep, listener))
    return new Cleanup(() => {
      const room = this.#wasm
      guarded(() => {
        subscription.end(room)
      })
    })
  }

  /** Uses the document as a whole. */
  document<T>(use: (room: WasmRoom) => T): T {
    const room = this.#document()
    return guarded(() => use(room))
  }

  /** Makes an update of another document an edit. */
  applyUpdate(update: Uint8Array, origin: unknown): void {
    const room = this.#document()
    // Inside another transaction, too, this update has its own.
    const outer = this.#updates.origin
    this.#updates.origin = origin
    if (this.#depth === 0) this.#origins.push(origin)
    try {
      guarded(() => {
        this.#track(origin)
        room.import(update, this.#origins.length)
      })
      this.#isEdited = true
    } finally {
      this.#updates.origin = outer
      guarded(() => {
        this.#track(undefined)
      })
      this.#session.schedule()
    }
  }

  openUndo(undo: Undo): void {
    const room = this.#document()
    guarded(() => {
      undo.enter(room, this.#nodes)
    })
    this.#undos.add(undo)
  }

  closeUndo(undo: Undo): void {
    if (!this.#undos.delete(undo) || this.#wasm === undefined) return
    guarded(() => {
      undo.leave()
    })
  }

  /** Undoes or redoes. */
  takeBack(undo: Undo, isRedo: boolean): boolean {
    this.#isEdited = true
    return this.transact(() => this.document(() => undo.takeBack(isRedo)), undo)
  }

  /** Has the module run soon, and the app told. */
  schedule(): void {
    this.#session.schedule()
  }

  onUpdate(listener: UpdateListener): Disposer {
    this.#document()
    return this.#updates.add(listener)
  }

  /** Calls a function whose edits leave as one. */
  transact<T>(change: () => T, origin: unknown): T {
    const room = this.#document()
    if (this.#depth === 0) {
      this.#origins.push(origin)
      this.#updates.origin = origin
    }
    guarded(() => {
      this.#track(origin)
      room.begin(this.#origins.length)
    })
    this.#depth += 1
    try {
      return change()
    } finally {
      this.#depth -= 1
      if (this.#depth === 0) this.#updates.origin = undefined
      // The function may have disposed the room; its edits so far went out then.
      const room = this.#wasm
      if (room !== undefined) {
        guarded(() => {
          room.commit()
          this.#track(undefined)
        })
        this.#session.schedule()
      }
    }
  }

  /** What is edited from here on has this origin. */
  #track(origin: unknown): void {
    if (this.#depth === 0) for (const undo of this.#undos) undo.track(origin)
  }

  // ---- presence -------------------------------------------------------------------------------

  setPresence(json: string | null): void {
    if (this.#isClosed) throw disposedError()
    this.#presence = json
    guarded(() => this.#wasm?.setPresence(json ?? undefined))
  }

  requestPeers(): void {
    this.#peerFrame.request()
  }

  // ---- durability -----------------------------------------------------------------------------

  async flush(): Promise<undefined> {
    await this.loaded.promise
    const room = this.#running()
    const done = new Deferred<undefined>()
    this.#flushes.set(guarded(() => room.flush()), done)
    return done.promise
  }

  /** The module's room, for what needs the relay. */
  #running(): WasmRoom {
    const room = this.#document()
    if (this.status.state === 'stopped') throw this.status.error
    return room
  }

  async seed(texts: Readonly<Record<string, string>>): Promise<boolean> {
    await this.loaded.promise
    while (this.#seed !== undefined) await this.#seed.done.promise.catch(() => undefined)
    const room = this.#running()
    const done = new Deferred<boolean>()
    const update = this.#session.seedUpdate(texts)
    this.#seed = { done, update }
    guarded(() => {
      room.seed(update)
    })
    return done.promise
  }

  // ---- news from the module -------------------------------------------------------------------

  edited(update: Uint8Array): void {
    this.log.edited(update)
    if (this.#updates.note(update, true)) this.#session.schedule()
  }

  other(update: Uint8Array): void {
    this.log.other(update)
    if (this.#updates.note(update, false)) this.#session.schedule()
  }

  receive(batch: Batch, changes: readonly ChangeView[]): readonly (() => void)[] {
    const news: (() => void)[] = [...this.#updates.take()]
    for (const { error } of batch.refused) {
      const refused = { error: new CoweaveError(error) }
      news.push(() => {
        this.listeners.refused.notify(refused)
      })
    }
    for (const { id, about } of batch.setAside) {
      const copy = this.#session.copies.add(this.name, id, about)
      // What was asked for was in the document that is set aside.
      this.#rejectFlushes(copy.error)
      news.push(() => {
        this.listeners['set-aside'].notify(copy)
      })
    }
    // That the document is another one is told before what is in it.
    news.push(...this.#updates.takeNext())
    for (const number of batch.flushed) {
      this.#flushes.get(number)?.resolve(undefined)
      this.#flushes.delete(number)
    }
    if (batch.seeded !== undefined) this.#takeSeeded(batch.seeded)
    if (changes.length > 0) {
      const told = changes.map(change => ({ ...change, origin: this.#origins[Number(change.origin) - 1] }))
      news.push(...this.#nodes.changed(told))
    }
    if (batch.peers.length > 0) this.#takePeers(batch.peers)
    if (batch.view !== undefined) this.#takeView(batch.view, news)
    return news
  }

  get log(): RoomLog {
    return this.#nextLog ?? this.#log
  }

  began(): void {
    this.#nextLog = new RoomLog()
    this.#updates.began()
  }

  noteSaved(saved: Saved, isOnDevice: boolean): void {
    this.#savedNext = { saved, isOnDevice }
  }

  told(news: (() => void)[]): void {
    this.#log = this.log
    this.#nextLog = undefined
    this.#log.told()
    if (this.#depth === 0 && this.#origins.length > 0) this.#origins.length = 0
    if (!this.#updates.isEmpty) news.push(...this.#updates.take(), ...this.#updates.takeNext())
    const next = this.#savedNext
    if (next !== undefined) {
      this.#savedNext = undefined
      const { status, storage, isLoaded, isSynced, role } = this.#view
      // Not spread: it comes with each keystroke, and an object of another make costs ten times as much.
      this.#takeView({ status, saved: next.saved, storage, isLoaded, isSynced, role, isOnDevice: next.isOnDevice }, news)
    }
    for (const undo of this.#undos) news.push(...undo.news())
  }

  fold(): void {
    if (this.#log.isLong && this.#wasm !== undefined) this.#log.fold(this.#wasm.state())
  }

  #takeView(latest: RoomView, news: (() => void)[]): void {
    const before = this.#view
    // Another instance begins anew, but what the app has, it has.
    const isLoaded = before.isLoaded || latest.isLoaded
    const isSynced = before.isSynced || latest.isSynced
    const isSame = isLoaded === latest.isLoaded && isSynced === latest.isSynced
    const view = isSame ? latest : { ...latest, isLoaded, isSynced }
    this.#view = view
    if (view.saved.tier !== 'memory') this.#isRestored = false
    if (this.#isClosed) {
      // It says nothing any more, and leaves when what another instance took over is safe.
      if (!this.#isRestored) this.#leave()
      return
    }
    if (isOther(before.storage, view.storage)) this.#takeStorage(toStorage(view.storage), news)
    if (isOther(before.status, view.status)) {
      this.status = toStatus(view.status)
      news.push(() => {
        this.listeners.status.notify(this.status)
      })
    }
    if (before.role !== view.role) {
      news.push(() => {
        this.listeners.role.notify(this.role)
      })
    }
    if (before.saved.tier !== view.saved.tier || before.saved.pending !== view.saved.pending) {
      news.push(() => {
        this.listeners.saved.notify(view.saved)
      })
    }
    if (!before.isLoaded && view.isLoaded) {
      this.loaded.resolve(undefined)
      news.push(() => {
        this.listeners.loaded.notify(undefined)
      })
    }
    if (!before.isSynced && view.isSynced) {
      this.synced.resolve(undefined)
      news.push(() => {
        this.listeners.synced.notify(undefined)
      })
    }
    if (this.status.state === 'stopped') this.#reject(this.status.error)
  }

  #takeStorage(storage: RoomStorage, news: (() => void)[]): void {
    const before = this.storage.kind
    this.storage = storage
    if (before === 'lost' && storage.kind !== 'lost' || before === 'damaged' && storage.kind === 'device') {
      news.push(() => {
        this.listeners['storage-restored'].notify(undefined)
      })
    }
    if (storage.kind !== 'lost' && storage.kind !== 'damaged') return
    const event = this.listeners[`storage-${storage.kind}`]
    news.push(() => {
      event.notify(storage.error)
    })
  }

  #takeSeeded(seeded: NonNullable<Batch['seeded']>): void {
    if ('error' in seeded) this.#seed?.done.reject(new CoweaveError(seeded.error))
    else this.#seed?.done.resolve(seeded.isFirst)
    this.#seed = undefined
  }

  #takePeers(changed: readonly PeerView[]): void {
    // One turn may bring several states of the same peer: the last one counts.
    const peers = new Map(this.peers.map(peer => [peer.id, peer]))
    for (const { id, state } of changed) {
      const shown = parseShown(state)
      if (shown === null) peers.delete(id)
      else peers.set(id, { id, state: shown })
    }
    this.peers = [...peers.values()]
    this.#peerFrame.request()
  }

  fail(error: CoweaveError): readonly (() => void)[] {
    this.#wasm = undefined
    this.status = { state: 'stopped', error }
    this.#reject(error)
    this.loaded.reject(error)
    const lost = this.log.pending
    if (lost > 0) {
      const { saved } = this.#view
      const pending = Math.max(lost, saved.pending)
      this.#view = { ...this.#view, saved: { tier: 'memory', pending }, isOnDevice: false }
    }
    return [() => {
      this.listeners.status.notify(this.status)
      if (lost > 0) this.listeners.saved.notify(this.#view.saved)
    }]
  }

  #failNow(error: CoweaveError): void {
    for (const tell of this.fail(error)) tell()
  }

  #reject(error: CoweaveError): void {
    this.synced.reject(error)
    this.#rejectFlushes(error)
    this.#seed?.done.reject(error)
    this.#seed = undefined
  }

  #rejectFlushes(error: CoweaveError): void {
    for (const done of this.#flushes.values()) done.reject(error)
    this.#flushes.clear()
  }

  /** Leaves the room; what was edited so far goes out before. */
  close(): void {
    if (this.#isClosed) return
    this.closing.notify(undefined)
    this.#isClosed = true
    this.#peerFrame.cancel()
    this.status = { state: 'disposed' }
    // Whatever instance may still see the last edits out, nobody is here any more.
    this.#presence = null
    const error = disposedError()
    this.loaded.reject(error)
    this.#reject(error)
    guarded(() => {
      for (; this.#depth > 0; this.#depth -= 1) this.#wasm?.commit()
    })
    this.#leave()
  }

  #leave(): void {
    const wasm = this.#wasm
    // What another instance took over has to be safe first: its connection is new.
    if (wasm === undefined || (this.#isRestored && this.saved.tier === 'memory')) return
    try {
      this.#session.close(wasm)
      this.#nodes.free()
      this.#wasm = undefined
    } catch (error) {
      // Another instance took over, and leaves when it can.
      if (this.#wasm === wasm) throw error
    }
  }
}

export function disposedError(): CoweaveError {
  return apiError('api.disposed', 'this share in the room was disposed: ask client.room() for another one')
}

function toStatus(status: RoomView['status']): RoomStatus {
  switch (status.state) {
    case 'offline': {
      const { retryAt, error } = status
      // The wall clock may have been set, or gone on while the steady one slept.
      const now = Date.now() - performance.now()
      return {
        state: 'offline',
        retryAt: retryAt && Math.round(now + retryAt),
        error: error && new CoweaveError(error),
      }
    }
    case 'stopped':
      return { state: 'stopped', error: new CoweaveError(status.error) }
    default:
      return status
  }
}

function toStorage(storage: RoomView['storage']): RoomStorage {
  return 'error' in storage
    ? { kind: storage.kind, error: new CoweaveError(storage.error) }
    : storage
}

/** Other software may show something that is no object; it means nothing here. */
function parseShown(json: string | null): object | null {
  if (json === null) return null
  try {
    const shown: unknown = JSON.parse(json)
    return typeof shown === 'object' ? shown : null
  } catch {
    return null
  }
}

/** Views come from JSON: plain values. */
function isOther(before: unknown, after: unknown): boolean {
  if (before === after) return false
  if (typeof before !== 'object' || typeof after !== 'object' || before === null || after === null) {
    return true
  }
  const [one, other] = [before as Record<string, unknown>, after as Record<string, unknown>]
  for (const key in one) if (!(key in other)) return true
  for (const key in other) if (isOther(one[key], other[key])) return true
  return false
}
