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

/** The document of a room; to be used once `room.loaded` is there. */
export class Doc extends DocParts {
  readonly #handle: Handle

  /** @internal */
  constructor(handle: Handle) {
    super(handle)
    this.#handle = handle
  }

  /**
   * Calls a function at once; its edits leave as one, and are one change for subscribers, who are
   * told `origin` with it. What was edited before the function throws stays edited.
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

  /** Gathers edits of some types from here on, so that they can be undone. */
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

  /** What a Yjs document with this state vector lacks, as one update (v1). */
  encodeDifference(stateVector: Uint8Array): Uint8Array {
    const checked = checkBytes(stateVector, 'the state vector')
    return this.#handle.use().document(room => room.difference(checked))
  }

  /**
   * Brings an update of any Yjs document (v1) into this one, as an edit of this client: what is new
   * in it is stored and sent like everything else. Throws `update.missing_dependencies` when it
   * needs something that is not here. `origin` is what listeners are given with it.
   */
  applyUpdate(update: Uint8Array, origin?: unknown): void {
    this.#handle.use().applyUpdate(checkBytes(update, 'the update'), origin)
  }

  /**
   * As `applyUpdate`, for an update in version 2 of the format of Yjs. It is rewritten in version 1,
   * which is all that is stored and sent. Throws `update.too_large` for one that would become 32 times
   * as large by that, and larger than 256 KiB.
   */
  applyUpdateV2(update: Uint8Array, origin?: unknown): void {
    const checked = checkBytes(update, 'the update')
    const session = this.#handle.use()
    session.applyUpdate(session.document(room => room.toVersion1(checked)), origin)
  }

  /** Which edits the document has, in the form of Yjs. */
  override snapshot(): Uint8Array {
    return this.#handle.use().document(room => room.snapshot())
  }

  /**
   * Whether another document, or the one that a snapshot was taken of, has exactly the same edits, and
   * so the same content. Documents that were written apart from each other never have.
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
   * snapshot of what is not there (yet).
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
