// What an app waits for until the relay has answered: flushes, and the seed of a room.

import { Deferred } from './deferred.js'
import { type CoweaveError, guarded } from './error.js'
import type { WasmRoom } from './wasm.js'

export class RoomRequests {
  #flushes = new Map<number, Deferred<undefined>>()
  #seed: { readonly done: Deferred<boolean>; readonly update: Uint8Array } | undefined

  /** Settled when all that was edited so far is durable. */
  async flush(room: WasmRoom): Promise<undefined> {
    const done = new Deferred<undefined>()
    this.#flushes.set(guarded(() => room.flush()), done)
    return done.promise
  }

  flushed(numbers: readonly number[]): void {
    for (const number of numbers) {
      this.#flushes.get(number)?.resolve(undefined)
      this.#flushes.delete(number)
    }
  }

  /** Whether this update was the first in its room. One seed at a time: the room is asked for when it is this one's turn. */
  async seed(room: () => WasmRoom, update: Uint8Array): Promise<boolean> {
    while (this.#seed !== undefined) await this.#seed.done.promise.catch(() => undefined)
    const running = room()
    const done = new Deferred<boolean>()
    this.#seed = { done, update }
    guarded(() => {
      running.seed(update)
    })
    return done.promise
  }

  endSeed(settle: (done: Deferred<boolean>) => void): void {
    const seed = this.#seed
    this.#seed = undefined
    if (seed !== undefined) settle(seed.done)
  }

  /** Asks another instance for what the one before did not answer. */
  restore(room: WasmRoom): void {
    const flushes = [...this.#flushes.values()]
    this.#flushes = new Map(flushes.map(done => [room.flush(), done]))
    if (this.#seed !== undefined) room.seed(this.#seed.update)
  }

  rejectFlushes(error: CoweaveError): void {
    for (const done of this.#flushes.values()) done.reject(error)
    this.#flushes.clear()
  }

  reject(error: CoweaveError): void {
    this.rejectFlushes(error)
    this.endSeed(done => {
      done.reject(error)
    })
  }
}
