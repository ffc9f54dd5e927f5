// The document of a room.

import { checkBytes, checkEvent, checkFunction } from './argument.js'
import type { Disposer } from './disposer.js'
import { apiError } from './error.js'
import type { Handle } from './handle.js'
import { report } from './listeners.js'
import { DocParts } from './parts.js'
import { PastDoc } from './past.js'
import { Undo, type UndoOptions } from './undo.js'
import type { UpdateListener } from './updates.js'

/**
 * The document of a room; to be used once `room.loaded` is there. Every use throws `api.not_ready`
 * before, `api.disposed` after the room was disposed, `api.wrong_type` for an argument of the wrong type,
 * and, in a room that stopped before it was loaded, the error of its status.
 */
export class Doc extends DocParts {
  readonly #handle: Handle

  /** @internal */
  constructor(handle: Handle) {
    super(handle)
    this.#handle = handle
  }

  /**
   * Calls a function at once; its edits leave as one, and are one change for subscribers, who are
   * told `origin` with it. What was edited before the function throws stays edited. Throws
   * `api.wrong_type` for what is no function, and for an async one, whose edits until its first `await`
   * stay.
   */
  transact<T>(change: () => T, origin?: unknown): T {
    checkFunction(change, 'the change')
    const result = this.#handle.use().transact(change, origin)
    // Not every promise is a `Promise`: libraries and other windows have their own.
    if (typeof (result as Partial<Promise<unknown>> | null | undefined)?.then === 'function') {
      // Nobody else can hear of what is thrown in it.
      Promise.resolve(result).catch(report)
      throw apiError('api.wrong_type', 'the change must not be async: it ends when it returns')
    }
    return result
  }

  /**
   * Gathers edits of some types from here on, so that they can be undone. Throws `api.wrong_type` for
   * options that are none, or types of another document, and `api.deleted` for a type that was deleted.
   */
  undo(options: UndoOptions): Undo {
    return new Undo(this.#handle, options)
  }

  /** The whole document as one Yjs update (v1). */
  override encodeState(): Uint8Array {
    return this.#handle.use().document(room => room.state())
  }

  /** The document's Yjs state vector: how far it has what each client wrote. */
  encodeStateVector(): Uint8Array {
    return this.#handle.use().document(room => room.stateVector())
  }

  /**
   * What a Yjs document with this state vector lacks, as one update (v1). Throws `update.malformed` for
   * bytes that are no state vector, or one of more than 100,000 clients.
   */
  encodeDifference(stateVector: Uint8Array): Uint8Array {
    const checked = checkBytes(stateVector, 'the state vector')
    return this.#handle.use().document(room => room.difference(checked))
  }

  /**
   * Brings an update of any Yjs document (v1) into this one, as an edit of this client: what is new
   * in it is stored and sent like everything else, in pieces of 384 KiB. `origin` is what listeners are
   * given with it. Throws `update.missing_dependencies` when it needs something that is not here,
   * `update.malformed` for bytes that are no such update or break a rule of the format, `update.too_deep`
   * when it nests shared types in more than 200 levels, `room.read_only` for a viewer, and `room.deleted`
   * when the room is no more.
   */
  applyUpdate(update: Uint8Array, origin?: unknown): void {
    this.#handle.use().applyUpdate(checkBytes(update, 'the update'), origin)
  }

  /**
   * As `applyUpdate`, for an update in version 2 of the format of Yjs. It is rewritten in version 1,
   * which is all that is stored and sent. Throws as `applyUpdate`, and `update.too_large` for one that
   * would become 32 times as large by that, and larger than 256 KiB, or larger than 256 MiB.
   */
  applyUpdateV2(update: Uint8Array, origin?: unknown): void {
    const checked = checkBytes(update, 'the update')
    const session = this.#handle.use()
    session.applyUpdate(session.document(room => room.toVersion1(checked)), origin)
  }

  /** Which edits the document has, as Yjs writes it with `Y.encodeSnapshot`. */
  override snapshot(): Uint8Array {
    return this.#handle.use().document(room => room.snapshot())
  }

  /**
   * Whether another document, or the one that a snapshot was taken of, has exactly the same edits, and
   * so the same content. Documents that were written apart from each other never have. Throws
   * `update.malformed` for bytes that are no snapshot.
   */
  equals(other: DocParts | Uint8Array): boolean {
    const snapshot = typeof (other as Partial<DocParts> | null)?.snapshot === 'function'
      ? (other as DocParts).snapshot()
      : checkBytes(other, 'what to compare with')
    return this.#handle.use().document(room => room.isAt(snapshot))
  }

  /**
   * The document as it was at a snapshot of its own, or of Yjs. What was deleted since has to be there
   * still, and a room does not keep it for long: it throws `snapshot.collected` otherwise. Where the
   * past matters, keep `encodeState()` with the snapshot, and hand it in as `state`; any later state
   * of a Yjs document without garbage collection will do. Throws `update.missing_dependencies` for a
   * snapshot of what is not there (yet), `update.malformed` for bytes that are no snapshot or no state,
   * and `update.too_deep` for a state that nests shared types in more than 200 levels.
   */
  at(snapshot: Uint8Array, state?: Uint8Array): PastDoc {
    const checked = checkBytes(snapshot, 'the snapshot')
    const later = state === undefined ? undefined : checkBytes(state, 'the state')
    const handle = this.#handle
    return new PastDoc(handle.use(), source => handle.own(source), checked, later)
  }

  /**
   * Calls a function with each update (v1) that comes into the document from here on, own edits
   * included, in order: one for each transaction, or several when it is larger than 384 KiB, or when
   * `applyUpdate` brings something with another origin in the middle of it. After `set-aside` the first one is
   * the whole document that took the place of the one before.
   */
  on(event: 'update', listener: UpdateListener): Disposer {
    checkEvent(event, ['update'])
    checkFunction(listener, 'the listener')
    return this.#handle.own(this.#handle.use().onUpdate(listener))
  }
}
