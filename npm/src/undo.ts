// Undo and redo of what was edited through this client.

import { checkEvent, checkFunction, wrongType } from './argument.js'
import { Cleanup, type Disposer, makeDisposable } from './disposer.js'
import { apiError, guarded, toError } from './error.js'
import type { Handle } from './handle.js'
import { Listeners } from './listeners.js'
import type { SharedNodes } from './shared-nodes.js'
import { type NodeId, SharedNode } from './shared.js'
import type { WasmRoom, WasmUndo } from './wasm.js'

const CAPTURE_TIMEOUT_MS = 500

/** What can be undone, and how. */
export interface UndoOptions {
  /** The types whose edits can be undone, with all that is inside them. */
  readonly scope: SharedNode | readonly SharedNode[]
  /**
   * The origins of the transactions that can be undone: values that `doc.transact` is given, or
   * classes of such values. Without it, edits without an origin.
   */
  readonly origins?: Iterable<unknown>
  /**
   * Edits that follow each other within so many milliseconds, from 0 on, are undone together; 500
   * without it.
   */
  readonly captureTimeout?: number
}

/** Edits that are undone, or redone, together. */
export class UndoItem {
  /** What the app wants to remember with them, as where the caret was; by any key. */
  readonly meta: Map<unknown, unknown> = new Map()
}

/** What happened to one item. */
export interface UndoEvent {
  /** The item: the same object in each event about it. */
  readonly item: UndoItem
  /** Whether the item is one to be undone, or one to be redone. */
  readonly kind: 'undo' | 'redo'
}

/** What `undo.on` can listen to. */
export interface UndoEvents {
  /** There is a new item: something was edited, or what was undone can be redone. */
  readonly added: UndoEvent
  /** An edit joined the last item. */
  readonly updated: UndoEvent
  /** An item was undone, or redone. The changes that this made were told before. */
  readonly popped: UndoEvent
  /** Nothing can be undone or redone any more: by `clear`, or because the document is another one. */
  readonly cleared: undefined
  /** After each of them: `canUndo` and `canRedo` may be different. */
  readonly changed: undefined
}

/** What happened in the module, and how many items there are then to undo and to redo. */
type News = readonly [what: 0 | 1 | 2 | 3, undo: number, redo: number]

/**
 * Undoes and redoes edits of this client: never those of others, and never so that something of
 * others goes with it. A type that others have written in stays, though it was made by the edit.
 *
 * Every use throws `api.disposed` after it, or its room, was disposed, and `api.deleted` when a type of
 * its scope was deleted before another instance of the module took over.
 */
export class Undo implements Disposer {
  readonly #handle: Handle
  readonly #scope: readonly NodeId[]
  readonly #origins: ReadonlySet<unknown>
  readonly #timeout: number
  readonly #listeners: { readonly [E in keyof UndoEvents]: Listeners<UndoEvents[E]> } = {
    added: new Listeners(),
    updated: new Listeners(),
    popped: new Listeners(),
    cleared: new Listeners(),
    changed: new Listeners(),
  }
  readonly #own: Disposer
  #wasm: WasmUndo | undefined
  #isDisposed = false
  /** Whether the module gathers what is edited now. */
  #isTracking = true
  readonly #undo: UndoItem[] = []
  readonly #redo: UndoItem[] = []
  #untold: (() => void)[] = []

  /** As `dispose`, for `using`. */
  declare [Symbol.dispose]: () => void

  static {
    makeDisposable(this.prototype)
  }

  /** @internal */
  constructor(handle: Handle, options: UndoOptions) {
    const session = handle.use()
    const { scope, origins, captureTimeout = CAPTURE_TIMEOUT_MS } = checkOptions(options)
    const nodes = scope instanceof SharedNode ? [scope] : [...scope]
    if (!nodes.every(node => node instanceof SharedNode && node.isOf(session)) || nodes.length === 0) {
      throw apiError('api.wrong_type', 'options.scope must be shared types of this document')
    }
    this.#handle = handle
    this.#scope = nodes.map(node => node.id)
    this.#origins = new Set([...origins ?? [undefined]].map(origin => origin ?? undefined))
    this.#timeout = captureTimeout
    session.openUndo(this)
    this.#own = handle.own(new Cleanup(() => {
      this.#isDisposed = true
      session.closeUndo(this)
      resize(this.#undo, 0)
      resize(this.#redo, 0)
    }))
  }

  /** Whether there is something to undo. */
  get canUndo(): boolean {
    this.#takeNews()
    return this.#undo.length > 0
  }

  /** Whether there is something to redo. */
  get canRedo(): boolean {
    this.#takeNews()
    return this.#redo.length > 0
  }

  /**
   * Undoes the last item; tells whether that changed anything. It is an edit of its own, with this
   * object as its origin; inside a `transact` it is part of that, and has its origin. Throws
   * `room.read_only` for a viewer, as every change does, and `room.deleted` when the room is no more; the
   * item stays then.
   */
  undo(): boolean {
    return this.#use(() => this.canUndo && this.#handle.use().takeBack(this, false))
  }

  /** Redoes what was undone last; tells whether that changed anything. Throws as `undo`. */
  redo(): boolean {
    return this.#use(() => this.canRedo && this.#handle.use().takeBack(this, true))
  }

  /** Ends the last item: the next edit begins a new one, however soon it comes. */
  stop(): void {
    this.#use(wasm => {
      wasm.stop()
    })
  }

  /** Forgets all items. */
  clear(): void {
    this.#use(wasm => {
      wasm.clear()
    })
    this.#handle.use().schedule()
  }

  /** Calls a function when something happens, after the changes of the document were told. */
  on<E extends keyof UndoEvents>(event: E, listener: (value: UndoEvents[E]) => void): Disposer {
    checkFunction(listener, 'the listener')
    const listeners: { readonly [E in keyof UndoEvents]: Listeners<UndoEvents[E]> } = this.#listeners
    checkEvent(event, Object.keys(listeners))
    return listeners[event].add(listener)
  }

  /** Ends it, and lets go of deleted content that was kept for it. */
  dispose(): void {
    this.#own.dispose()
  }

  // ---- for the room --------------------------------------------------------------------------

  /** @internal Begins to gather in a room of the module. */
  enter(room: WasmRoom, nodes: SharedNodes): void {
    const wasm = room.undo(this.#timeout)
    try {
      for (const id of this.#scope) wasm.add(nodes.get(room, id))
    } catch (error) {
      wasm.close()
      wasm.free()
      throw error
    }
    this.#wasm = wasm
    this.#isTracking = true
    this.track(undefined)
  }

  /** @internal Goes on in another instance of the module, where nothing can be undone. */
  restore(room: WasmRoom, nodes: SharedNodes): void {
    this.#wasm = undefined
    this.#takeOne([3, 0, 0])
    this.#untold.push(() => {
      this.#listeners.changed.notify(undefined)
    })
    try {
      this.enter(room, nodes)
    } catch (error) {
      // A type of the scope may be deleted by now.
      if (toError(error).code !== 'api.deleted') throw error
    }
  }

  /** @internal */
  leave(): void {
    this.#wasm?.close()
    this.#wasm?.free()
    this.#wasm = undefined
  }

  /** @internal The origin of what is edited from here on. */
  track(origin: unknown): void {
    const constructor: unknown = (origin as object | null | undefined)?.constructor
    const isTracking = this.#origins.has(origin ?? undefined)
      || constructor !== undefined && this.#origins.has(constructor)
    if (isTracking === this.#isTracking) return
    this.#isTracking = isTracking
    this.#wasm?.track(isTracking)
  }

  /** @internal */
  takeBack(isRedo: boolean): boolean {
    return this.#wasm?.takeBack(isRedo) ?? false
  }

  /** @internal What listeners are to be told. */
  news(): readonly (() => void)[] {
    this.#takeNews()
    const untold = this.#untold
    this.#untold = []
    return untold
  }

  #use<T>(use: (wasm: WasmUndo) => T): T {
    if (this.#isDisposed) throw apiError('api.disposed', 'the undo was disposed')
    this.#handle.use()
    const wasm = this.#wasm
    if (wasm === undefined) throw apiError('api.deleted', 'a type in the scope of the undo was deleted')
    return guarded(() => use(wasm))
  }

  #takeNews(): void {
    const wasm = this.#wasm
    if (wasm === undefined) return
    const news = JSON.parse(guarded(() => wasm.take())) as readonly News[]
    for (const one of news) this.#takeOne(one)
    if (news.length === 0) return
    this.#untold.push(() => {
      this.#listeners.changed.notify(undefined)
    })
  }

  #takeOne([what, undo, redo]: News): void {
    const [undone, redone] = [this.#undo[undo], this.#redo[redo]]
    const [isNewUndo, isNewRedo] = [undo > this.#undo.length, redo > this.#redo.length]
    resize(this.#undo, undo)
    resize(this.#redo, redo)
    if (what === 3) {
      this.#untold.push(() => {
        this.#listeners.cleared.notify(undefined)
      })
      return
    }
    if (isNewUndo) this.#tell('added', 'undo', this.#undo.at(-1))
    else if (what === 0) this.#tell('updated', 'undo', this.#undo.at(-1))
    if (isNewRedo) {
      this.#tell('added', 'redo', this.#redo.at(-1))
      this.#tell('popped', 'undo', undone)
    }
    if (what === 2 && isNewUndo) this.#tell('popped', 'redo', redone)
  }

  #tell(event: 'added' | 'updated' | 'popped', kind: 'undo' | 'redo', item?: UndoItem): void {
    if (item === undefined) return
    this.#untold.push(() => {
      this.#listeners[event].notify({ item, kind })
    })
  }
}

/** Leaves as many items: the first ones, with new ones behind them. */
function resize(items: UndoItem[], length: number): void {
  while (items.length > length) items.pop()
  while (items.length < length) items.push(new UndoItem())
}

function checkOptions(options: UndoOptions): UndoOptions {
  // Types promise nothing at run time.
  const { scope, origins, captureTimeout } = new Object(options) as Record<string, unknown>
  if (!(scope instanceof SharedNode) && !Array.isArray(scope)) {
    throw wrongType('options.scope', 'a shared type or a list of them', scope)
  }
  // The letters of a string are not meant.
  const isList = typeof origins === 'object' && typeof origins?.[Symbol.iterator as never] === 'function'
  if (origins !== undefined && !isList) throw wrongType('options.origins', 'a list of origins', origins)
  if (captureTimeout !== undefined && !(typeof captureTimeout === 'number' && captureTimeout >= 0)) {
    throw wrongType('options.captureTimeout', 'a number of milliseconds', captureTimeout)
  }
  return options
}
