// What a room holds, outside of the wasm module: another instance can go on from it.

import type { WasmRoom } from './wasm.js'

/** The log becomes one update beyond these, as on the device. */
const FOLD_COUNT_MIN = 500
const FOLD_BYTES_MIN = 256 << 10
/** A list begins with so much space, and keeps up to so much when it is empty. */
const BYTES_MIN = 256
const BYTES_KEPT_MAX = 4 << 10

/** Updates in one stretch of memory: an array for each would take ten times the size of a keystroke. */
class UpdateList {
  #bytes = new Uint8Array(BYTES_MIN)
  /** Where each ends; what is behind the last one is left over from before. */
  readonly #ends: number[] = []
  #length = 0

  get length(): number {
    return this.#length
  }

  /** Copies an update. */
  push(update: Uint8Array): void {
    const start = this.#ends[this.#length - 1] ?? 0
    const end = start + update.length
    if (end > this.#bytes.length) {
      const bytes = new Uint8Array(Math.max(end, Math.ceil(this.#bytes.length * 1.5)))
      bytes.set(this.#bytes.subarray(0, start))
      this.#bytes = bytes
    }
    this.#bytes.set(update, start)
    this.#ends[this.#length] = end
    this.#length += 1
  }

  at(index: number): Uint8Array {
    return this.#bytes.subarray(this.#ends[index - 1] ?? 0, this.#ends[index])
  }

  lengthOf(index: number): number {
    return (this.#ends[index] ?? 0) - (this.#ends[index - 1] ?? 0)
  }

  clear(): void {
    this.#length = 0
    if (this.#bytes.length > BYTES_KEPT_MAX) this.#bytes = new Uint8Array(BYTES_MIN)
  }
}

/** The updates that make up the document, in order. */
export class RoomLog {
  #updates = new UpdateList()
  /** The number of each own edit; 0 for the updates of others. */
  #numbers: number[] = []
  /** Own edits up to this number are known to be durable on the relay. */
  #durable = 0
  /** Of how many updates the app was told. */
  #told = 0
  /** Edits that the module has not made one update of yet. */
  readonly #edits = new UpdateList()
  #lineage: Uint8Array = new Uint8Array()
  #epoch = 0
  /** Of the updates since the document was one, as far as folding would make it one with them. */
  #count = 0
  #bytes = 0
  /** What comes before this one is counted there. */
  #counted = 0
  #foldedBytes = 0

  // ---- what the module says; its memory is only lent ---------------------------------------------

  edited(update: Uint8Array): void {
    this.#edits.push(update)
  }

  own(number: number, update: Uint8Array): void {
    this.#add(update, number)
    this.#edits.clear()
  }

  adopted(number: number, update: Uint8Array): void {
    this.#add(update, number)
  }

  other(update: Uint8Array): void {
    this.#add(update, 0)
  }

  durable(through: number): void {
    this.#durable = Math.max(this.#durable, through)
    this.#countFoldable()
  }

  history(lineage: Uint8Array, epoch: number): void {
    this.#lineage = lineage.slice()
    this.#epoch = epoch
  }

  #add(update: Uint8Array, number: number): void {
    this.#updates.push(update)
    this.#numbers.push(number)
    this.#countFoldable()
  }

  /** Own edits become durable in their order. */
  #countFoldable(): void {
    for (; this.#counted < this.#numbers.length && !this.#isPending(this.#counted); this.#counted += 1) {
      const length = this.#updates.lengthOf(this.#counted)
      // A document that came as one update is one already.
      if (this.#counted === 0) this.#foldedBytes = length
      else {
        this.#count += 1
        this.#bytes += length
      }
    }
  }

  #isPending(index: number): boolean {
    return (this.#numbers[index] ?? 0) > this.#durable
  }

  /** How many own edits are not known to be durable on the relay. */
  get pending(): number {
    return this.#edits.length + this.#numbers.filter(number => number > this.#durable).length
  }

  // ---- what is made of it --------------------------------------------------------------------

  /** The app was told of all so far. */
  told(): void {
    this.#told = this.#numbers.length
  }

  /** Whether the log has grown so long that it should be folded; only when all of it was told. */
  get isLong(): boolean {
    const isLong = this.#count >= FOLD_COUNT_MIN || this.#bytes >= FOLD_BYTES_MIN
    return isLong && this.#bytes * 2 >= this.#foldedBytes && this.#edits.length === 0
  }

  /** The whole document takes the place of all that is not pending. */
  fold(document: Uint8Array): void {
    const [updates, numbers] = [this.#updates, this.#numbers]
    this.#updates = new UpdateList()
    this.#numbers = []
    this.#counted = 0
    this.#count = 0
    this.#bytes = 0
    this.#add(document, 0)
    for (const [index, number] of numbers.entries()) {
      if (number > this.#durable) this.#add(updates.at(index), number)
    }
    this.#told = this.#numbers.length
  }

  /**
   * Brings everything to a room of another instance, which begins a log of its own with it.
   * `observe` is called in between: what comes then is news to the app.
   */
  restore(room: WasmRoom, observe: () => void): void {
    const restore = (from: number, to: number, isNews: boolean): void => {
      for (let index = from; index < to; index += 1) {
        room.restore(this.#updates.at(index), this.#isPending(index), isNews)
      }
    }
    restore(0, this.#told, false)
    room.restored(this.#lineage, this.#epoch)
    observe()
    restore(this.#told, this.#numbers.length, true)
    for (let index = 0; index < this.#edits.length; index += 1) {
      room.restore(this.#edits.at(index), true, true)
    }
  }
}
