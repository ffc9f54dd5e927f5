// What a room holds, outside of the wasm module: another instance can go on from it.

import type { WasmRoom } from './wasm.js'

/** The log becomes one update beyond these, as on the device. */
const FOLD_COUNT_MIN = 500
const FOLD_BYTES_MIN = 256 << 10

interface Entry {
  readonly update: Uint8Array
  /** The number of an own edit that is not known to be durable on the relay; 0 for all others. */
  number: number
}

/** The updates that make up the document, in order. */
export class RoomLog {
  #entries: Entry[] = []
  /** How many the app was told of. */
  #told = 0
  /** Edits that the module has not put into an entry yet. */
  #edits: Uint8Array[] = []
  #lineage: Uint8Array = new Uint8Array()
  #epoch = 0
  /** Of all entries since the document was one update. */
  #bytes = 0
  #foldedBytes = 0

  // ---- what the module says; its memory is only lent ---------------------------------------------

  edited(update: Uint8Array): void {
    this.#edits.push(update.slice())
  }

  own(number: number, update: Uint8Array): void {
    this.#add(update, number)
    this.#edits = []
  }

  adopted(number: number, update: Uint8Array): void {
    this.#add(update, number)
  }

  other(update: Uint8Array): void {
    this.#add(update, 0)
  }

  durable(through: number): void {
    for (const entry of this.#entries) if (entry.number <= through) entry.number = 0
  }

  history(lineage: Uint8Array, epoch: number): void {
    this.#lineage = lineage.slice()
    this.#epoch = epoch
  }

  #add(update: Uint8Array, number: number): void {
    this.#entries.push({ update: update.slice(), number })
    this.#bytes += update.length
  }

  /** How many own edits are not known to be durable on the relay. */
  get pending(): number {
    return this.#edits.length + this.#entries.filter(({ number }) => number > 0).length
  }

  // ---- what is made of it --------------------------------------------------------------------

  /** The app was told of all so far. */
  told(): void {
    this.#told = this.#entries.length
  }

  /** Whether the log has grown so long that it should be folded; only when all of it was told. */
  get isLong(): boolean {
    const isLong = this.#told >= FOLD_COUNT_MIN || this.#bytes >= FOLD_BYTES_MIN
    return isLong && this.#bytes * 2 >= this.#foldedBytes && this.#edits.length === 0
  }

  /** The whole document takes the place of all that is not pending. */
  fold(document: Uint8Array): void {
    const pending = this.#entries.filter(({ number }) => number > 0)
    this.#entries = [{ update: document, number: 0 }, ...pending]
    this.#told = this.#entries.length
    this.#bytes = 0
    this.#foldedBytes = document.length
  }

  /**
   * Brings everything to a room of another instance, which begins a log of its own with it.
   * `observe` is called in between: what comes then is news to the app.
   */
  restore(room: WasmRoom, observe: () => void): void {
    for (const { update, number } of this.#entries.slice(0, this.#told)) {
      room.restore(update, number > 0, false)
    }
    room.restored(this.#lineage, this.#epoch)
    observe()
    for (const { update, number } of this.#entries.slice(this.#told)) {
      room.restore(update, number > 0, true)
    }
    for (const edit of this.#edits) room.restore(edit, true, true)
  }
}
