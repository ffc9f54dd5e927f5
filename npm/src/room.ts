// A room as an app holds it.

import { checkEvent, checkFunction, checkTexts } from './argument.js'
import type { SetAsideCopy } from './copies.js'
import { Cleanup, type Disposer, makeDisposable } from './disposer.js'
import { Doc } from './doc.js'
import { Handle } from './handle.js'
import { Presence } from './presence.js'
import type { RoomEvents, RoomListeners, RoomStatus, RoomStorage, Saved } from './room-events.js'
import type { RoomSession } from './room-session.js'
import type { Role } from './view.js'

/** What a room can be told. */
export interface RoomOptions {
  /**
   * What becomes of a document with an edit that the relay refuses for good, or that belongs to
   * another room by now. `set-aside` (by default): the document is put aside whole, told as
   * `set-aside`, and the room goes on with what the relay has. `keep`: the document stays as it is,
   * as a private draft, and the room stops. The last one who says so decides for all handles.
   */
  readonly refused?: 'set-aside' | 'keep'
}

const disposed: RoomStatus = { state: 'disposed' }

/** A share in a room; whoever asks for the same room of the same client shares the session. */
export class Room<S extends object = Record<string, unknown>> implements Disposer {
  /** The document. */
  readonly doc: Doc
  /** What the peers show each other. */
  readonly presence: Presence<S>
  readonly #handle: Handle
  #loaded: Promise<void> | undefined
  #synced: Promise<void> | undefined

  /** As `dispose`, for `using`. */
  declare [Symbol.dispose]: () => void

  static {
    makeDisposable(this.prototype)
  }

  /** @internal */
  constructor(session: RoomSession, release: () => void) {
    this.#handle = new Handle(session, release)
    this.doc = new Doc(this.#handle)
    this.presence = new Presence(this.#handle)
  }

  /** The name by which it was asked for. */
  get name(): string {
    return this.#handle.session.name
  }

  /**
   * When what this device has is in the document. Offline, too; rejects with `api.disposed` when disposed
   * before, and with `client.load_failed` when there is no module.
   */
  get loaded(): Promise<void> {
    return this.#loaded ??= this.#handle.here(this.#handle.session.loaded.promise)
  }

  /**
   * When the document first has everything that the relay has; rejects with the error of the status when
   * the room stops, and with `api.disposed` when disposed before.
   */
  get synced(): Promise<void> {
    return this.#synced ??= this.#handle.here(this.#handle.session.synced.promise)
  }

  /** How the room stands to the relay; the same object as long as nothing changes. */
  get status(): RoomStatus {
    return this.#handle.isDisposed ? disposed : this.#handle.session.status
  }

  /** How safe the own edits are; the same object as long as nothing changes. */
  get saved(): Saved {
    return this.#handle.session.saved
  }

  /**
   * What this session may do: a viewer reads and shows presence, and its edits throw
   * `room.read_only`. What the relay said last, on an earlier visit, too; an editor before the first one.
   */
  get role(): Role {
    return this.#handle.session.role
  }

  /**
   * Documents of this room that the relay would not have, and that nobody has dropped yet: those on
   * this device, from earlier visits too, and without a device those of this client. The oldest first.
   * Rejects with `api.disposed`, with `device.unavailable` when the store fails and this client has none
   * itself, and with `client.load_failed` when there is no module.
   */
  async copies(): Promise<readonly SetAsideCopy[]> {
    return this.#handle.use().copies()
  }

  /** Where this device keeps the room; settled when `loaded`. */
  get storage(): RoomStorage {
    return this.#handle.session.storage
  }

  /**
   * When everything in the document is on the relay's disk, whoever wrote it. Waits as long as
   * that takes, also for the connection; rejects with the error of the status when the room stops, with
   * that of the copy when the document is set aside, and with `api.disposed`.
   */
  async flush(): Promise<void> {
    await this.#handle.here(this.#handle.use().flush())
  }

  /**
   * Brings texts, by name, to a room that has no content yet. The relay decides: however many
   * bring something at the same time, one of them is first. Resolves to whether it was this one,
   * once the room is in step with the relay. Rejects with `api.wrong_type` for what is no object of
   * strings, `api.split_surrogate` for half of a character, `update.too_large` for more than the relay
   * takes at once (almost 8 MiB if it is not configured otherwise), `room.read_only` for a viewer, and as `flush`.
   */
  async seed(texts: Readonly<Record<string, string>>): Promise<boolean> {
    return this.#handle.here(this.#handle.use().seed(checkTexts(texts)))
  }

  /**
   * Calls a function when something happens. Nothing does after `dispose`: components may subscribe
   * anew in the moment in which another one lets go of the room. Throws `api.wrong_type` for an event
   * that there is not.
   */
  on<E extends keyof RoomEvents>(event: E, listener: (value: RoomEvents[E]) => void): Disposer {
    checkFunction(listener, 'the listener')
    const listeners: RoomListeners = this.#handle.session.listeners
    checkEvent(event, Object.keys(listeners))
    return this.#handle.own(listeners[event].add(listener))
  }

  /** @internal The same for all shares in the room. */
  get identity(): object {
    return this.#handle.session
  }

  /** @internal Ends something with this share or the client, when it does not end before. */
  own(subscription: Disposer): Disposer {
    const closing = this.#handle.use().closing.add(() => {
      owned.dispose()
    })
    const owned = this.#handle.own(new Cleanup(() => {
      closing.dispose()
      subscription.dispose()
    }))
    return owned
  }

  /**
   * Gives the share back. The room is left when nobody has one, and its edits are on this device or on the
   * relay's disk; the last one of a client some seconds later, for whoever opens another one.
   */
  dispose(): void {
    this.#handle.dispose()
  }
}
