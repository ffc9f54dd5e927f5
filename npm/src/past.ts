// A document as it was at a snapshot.

import { Cleanup, type Disposer, makeDisposable } from './disposer.js'
import { apiError, guarded } from './error.js'
import type { Kind } from './kind.js'
import { DocParts } from './parts.js'
import type { RoomSession } from './room-session.js'
import { SharedNodes } from './shared-nodes.js'
import type { NodeId, NodeSource } from './shared.js'
import type { WasmNode, WasmPast, WasmRoom } from './wasm.js'

/** A document of the past in the module, made again by another instance when one traps. */
class PastSource implements NodeSource {
  readonly #session: RoomSession
  readonly #snapshot: Uint8Array
  readonly #nodes = new SharedNodes()
  /** What it is made of. */
  #state: Uint8Array | undefined
  /** Of the instance in which it is. */
  #room: WasmRoom | undefined
  #past: WasmPast | undefined
  #isDisposed = false

  constructor(session: RoomSession, snapshot: Uint8Array, state: Uint8Array | undefined) {
    this.#session = session
    this.#snapshot = snapshot
    this.#state = state
    for (const [name, kind] of session.claimed) this.claim(kind, name)
    // It is less than the document that it was made of.
    this.#state = this.state()
  }

  #open(): WasmPast {
    if (this.#isDisposed) throw apiError('api.disposed', 'this document of the past was disposed')
    return this.#session.document(room => {
      if (this.#past !== undefined && this.#room === room) return this.#past
      this.#nodes.restart()
      this.#past = room.past(this.#snapshot, this.#state)
      this.#room = room
      return this.#past
    })
  }

  state(): Uint8Array {
    const past = this.#open()
    return guarded(() => past.state())
  }

  get claimed(): ReadonlyMap<string, Kind> {
    return this.#nodes.claimed
  }

  claim(kind: Kind, name: string): void {
    this.#nodes.claim(kind, name)
  }

  use<T>(id: NodeId, use: (node: WasmNode) => T): T {
    const past = this.#open()
    return guarded(() => use(this.#nodes.get(past, id)))
  }

  /** The module says why not. */
  edit(id: NodeId, edit: (node: WasmNode) => void): void {
    this.use(id, edit)
  }

  /** There is nothing to be told of what does not change. */
  subscribe(id: NodeId): Disposer {
    this.use(id, node => node.tree())
    return new Cleanup(() => undefined)
  }

  dispose(): void {
    if (this.#isDisposed) return
    this.#isDisposed = true
    guarded(() => {
      this.#nodes.free()
      this.#past?.free()
    })
  }
}

/**
 * A document as it was at a snapshot: to be read like any other, and to be disposed when it is no
 * longer shown; it ends with its room. Whatever would change it throws `room.read_only`, and after the
 * end every use throws `api.disposed`.
 */
export class PastDoc extends DocParts implements Disposer {
  readonly #source: PastSource
  readonly #snapshot: Uint8Array
  readonly #share: Disposer

  /** As `dispose`, for `using`. */
  declare [Symbol.dispose]: () => void

  static {
    makeDisposable(this.prototype)
  }

  /** @internal */
  constructor(
    session: RoomSession,
    own: (disposer: Disposer) => Disposer,
    snapshot: Uint8Array,
    state: Uint8Array | undefined,
  ) {
    // Nobody may change it any more.
    const source = new PastSource(session, snapshot.slice(), state)
    super({ use: () => source, own: subscription => subscription })
    this.#source = source
    this.#snapshot = snapshot.slice()
    this.#share = own(new Cleanup(() => { source.dispose() }))
  }

  /** The whole document as it was, as one Yjs update (v1). */
  override encodeState(): Uint8Array {
    return this.#source.state()
  }

  /** The snapshot that it was made of. */
  override snapshot(): Uint8Array {
    return this.#snapshot.slice()
  }

  /** Lets go of its memory. */
  dispose(): void {
    this.#share.dispose()
  }
}
