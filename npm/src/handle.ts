// What one caller of `client.room` holds: a share in the room, and what hangs on it.

import { Deferred } from './deferred.js'
import { Cleanup, type Disposer } from './disposer.js'
import { type RoomSession, disposedError } from './room-session.js'

/** A share in a room. */
export class Handle {
  readonly session: RoomSession
  readonly #release: () => void
  readonly #owned = new Set<Disposer>()
  #isDisposed = false

  constructor(session: RoomSession, release: () => void) {
    this.session = session
    this.#release = release
  }

  get isDisposed(): boolean {
    return this.#isDisposed
  }

  /** Whether the handle or its client is disposed. */
  get isOver(): boolean {
    return this.#isDisposed || this.session.isClosed
  }

  /** The room, as long as it is not over. */
  use(): RoomSession {
    if (this.isOver) throw disposedError()
    return this.session
  }

  /** Ends a subscription with the handle, when it does not end before. */
  own(subscription: Disposer): Disposer {
    const owned = new Cleanup(() => {
      this.#owned.delete(owned)
      subscription.dispose()
    })
    this.#owned.add(owned)
    if (this.isOver) owned.dispose()
    return owned
  }

  /** What the room promises, as long as this share is there. */
  here<T>(promised: Promise<T>): Promise<T> {
    const here = new Deferred<T>()
    const left = this.own(new Cleanup(() => {
      here.reject(disposedError())
    }))
    promised.then(value => {
      here.resolve(value)
    }, (error: unknown) => {
      here.reject(error as Error)
    }).finally(() => {
      left.dispose()
    })
    return here.promise
  }

  dispose(): void {
    // What hangs on the room may use it for the last time.
    for (const owned of [...this.#owned]) owned.dispose()
    if (this.#isDisposed) return
    this.#isDisposed = true
    this.#release()
  }
}
