// One room as all its handles share it.

import type { SetAsideCopy } from './copies.js'
import { Deferred } from './deferred.js'
import { Cleanup, type Disposer } from './disposer.js'
import { CoweaveError, apiError, guarded } from './error.js'
import { Listeners } from './listeners.js'
import type { Figures } from './figures.js'
import {
  type RoomListeners, type RoomStatus, type RoomStorage, type Saved,
  isOther, roomListeners, toStatus, toStorage,
} from './room-events.js'
import { RoomLog } from './room-log.js'
import { RoomPeers } from './room-peers.js'
import { RoomRequests } from './room-requests.js'
import type { Receiver, Session } from './session.js'
import { SharedNodes } from './shared-nodes.js'
import type { NodeId, NodeSource } from './shared.js'
import type { Undo } from './undo.js'
import { type UpdateListener, Updates } from './updates.js'
import type { Batch, ChangeView, Role, RoomView } from './view.js'
import type { WasmNode, WasmRoom } from './wasm.js'
import type { Kind } from './kind.js'

const unopened: RoomView = {
  status: { state: 'opening' },
  saved: { tier: 'durable', pending: 0 },
  storage: { kind: 'memory' },
  isLoaded: false,
  isSynced: false,
  role: 'editor',
  isOnDevice: true,
}

export class RoomSession implements Receiver, NodeSource {
  readonly name: string
  readonly listeners: RoomListeners = roomListeners()
  readonly loaded: Deferred<undefined> = new Deferred()
  readonly synced: Deferred<undefined> = new Deferred()
  status: RoomStatus = { state: 'opening' }
  storage: RoomStorage = { kind: 'memory' }
  readonly peers: RoomPeers = new RoomPeers()
  /** The room is left as soon as they return. */
  readonly closing: Listeners<undefined> = new Listeners()
  /** Is called once when edits are kept anywhere, or cannot get anywhere any more. */
  whenSaved: (() => void) | undefined

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
  readonly #requests = new RoomRequests()
  #presence: string | null = null
  #keepsRefused = false
  #depth = 0
  #isEdited = false
  #isClosed = false
  /** Another instance took over, and not all that it brought is known to be safe. */
  #isRestored = false

  constructor(session: Session, name: string) {
    this.name = name
    this.#session = session
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
      for (const undo of this.#undos) {
        undo.restore(room, this.#nodes)
        undo.track(this.#updates.origin)
      }
      for (let depth = 0; depth < this.#depth; depth += 1) room.begin(this.#origins.length)
      if (this.#presence !== null) room.setPresence(this.#presence)
      room.keepRefused(this.#keepsRefused)
      this.#requests.restore(room)
    } catch (error) {
      this.#log = log
      throw error
    } finally {
      this.#updates.isPaused = false
    }
    this.#wasm = room
    this.#isEdited = true
    this.#isRestored = true
    this.peers.clear()
  }

  /** Where all own edits are; looks first at those that the module has not seen yet. */
  get saved(): Saved {
    if (this.#isEdited && this.#depth === 0) {
      this.#isEdited = false
      this.#session.settle()
    }
    return this.#view.saved
  }

  /** The module has it. */
  get isOpen(): boolean {
    return this.#wasm !== undefined
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /** Edits are nowhere but in memory, here or on the relay, and may still get somewhere. */
  get isUnsaved(): boolean {
    return this.saved.tier !== 'durable' && !this.#view.isOnDevice && this.status.state !== 'stopped'
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

  get claimed(): ReadonlyMap<string, Kind> {
    return this.#nodes.claimed
  }

  claim(kind: Kind, name: string): void {
    this.#nodes.claim(kind, name)
  }

  use<T>(id: NodeId, use: (node: WasmNode) => T): T {
    const room = this.#document()
    return guarded(() => use(this.#nodes.get(room, id)))
  }

  /** Changes a shared type; the change leaves when the present code of the app is done. */
  edit(id: NodeId, edit: (node: WasmNode) => void): void {
    this.use(id, edit)
    this.#noteEdit()
    this.#session.schedule()
  }

  #noteEdit(): void {
    this.#isEdited = true
    this.#session.edited.notify(undefined)
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
    if (this.#depth === 0) {
      this.#origins.push(origin)
      this.#updates.begin()
    }
    try {
      guarded(() => {
        this.#track(origin)
        room.import(update, this.#origins.length)
      })
      this.#noteEdit()
    } finally {
      this.#updates.origin = outer
      this.#commit(undefined)
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
    this.#noteEdit()
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
    try {
      guarded(() => {
        this.#track(origin)
        room.begin(this.#origins.length)
      })
    } catch (error) {
      // After a trap nothing is open, and what follows has another origin.
      if (this.#depth === 0) this.#updates.origin = undefined
      this.#commit(undefined)
      throw error
    }
    if (this.#depth === 0) this.#updates.begin()
    this.#depth += 1
    try {
      return change()
    } finally {
      this.#depth -= 1
      if (this.#depth === 0) this.#updates.origin = undefined
      // The function may have disposed the room; its edits so far went out then.
      if (this.#wasm !== undefined) this.#commit(this.#wasm)
    }
  }

  /** A transaction is over; the module still has to be told so when there is a `room`. */
  #commit(room: WasmRoom | undefined): void {
    try {
      guarded(() => {
        room?.commit()
        this.#track(undefined)
      })
    } finally {
      if (this.#depth === 0) this.#updates.commit(updates => this.document(it => it.merge(updates)))
      this.#session.schedule()
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

  // ---- durability -----------------------------------------------------------------------------

  async flush(): Promise<undefined> {
    await this.loaded.promise
    return this.#requests.flush(this.#running())
  }

  async seed(texts: Readonly<Record<string, string>>): Promise<boolean> {
    await this.loaded.promise
    return this.#requests.seed(() => this.#running(), this.#session.seedUpdate(texts))
  }

  /** The module's room, for what needs the relay. */
  #running(): WasmRoom {
    const room = this.#document()
    if (this.status.state === 'stopped') throw this.status.error
    return room
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
      this.#requests.rejectFlushes(copy.error)
      news.push(() => {
        this.listeners['set-aside'].notify(copy)
      })
    }
    // That the document is another one is told before what is in it.
    news.push(...this.#updates.takeNext())
    this.#requests.flushed(batch.flushed)
    const { seeded } = batch
    if (seeded !== undefined) {
      this.#requests.endSeed(done => {
        if ('error' in seeded) done.reject(new CoweaveError(seeded.error))
        else done.resolve(seeded.isFirst)
      })
    }
    if (changes.length > 0) {
      const told = changes.map(change => ({ ...change, origin: this.#origins[Number(change.origin) - 1] }))
      news.push(...this.#nodes.changed(told))
    }
    this.peers.take(batch.peers)
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
    const isKept = view.saved.tier === 'durable' || view.isOnDevice
    if (isKept || this.status.state === 'stopped') this.#tellSaved(news)
  }

  #tellSaved(news: (() => void)[]): void {
    const { whenSaved } = this
    this.whenSaved = undefined
    if (whenSaved !== undefined) news.push(whenSaved)
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
    const news = [() => {
      this.listeners.status.notify(this.status)
      if (lost > 0) this.listeners.saved.notify(this.#view.saved)
    }]
    this.#tellSaved(news)
    return news
  }

  #failNow(error: CoweaveError): void {
    for (const tell of this.fail(error)) tell()
  }

  #reject(error: CoweaveError): void {
    this.synced.reject(error)
    this.#requests.reject(error)
  }

  /** Nobody is in the room any more. */
  rest(): void {
    if (this.#presence !== null && !this.#isClosed) this.setPresence(null)
  }

  /** Leaves the room; what was edited so far goes out before. */
  close(): void {
    if (this.#isClosed) return
    this.closing.notify(undefined)
    this.#isClosed = true
    if (this.#isEdited) {
      // Nobody will hear what becomes of the last edits.
      const pending = Math.max(this.log.pending, 1)
      this.#view = { ...this.#view, saved: { tier: 'memory', pending }, isOnDevice: false }
      this.#isEdited = false
    }
    this.peers.close()
    this.status = { state: 'disposed' }
    // Whatever instance may still see the last edits out, nobody is here any more.
    this.#presence = null
    const error = disposedError()
    this.loaded.reject(error)
    this.#reject(error)
    this.listeners.status.notify(this.status)
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
      for (const undo of this.#undos) undo.leave()
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
