// Documents that were set aside: what the relay would not have, kept for the app.

import { CoweaveError, guarded } from './error.js'
import type { Session } from './session.js'
import type { CopyDetails } from './view.js'

/** A document that was set aside: it is in no room any more, and stays until the app drops it. */
export class SetAsideCopy {
  /** Its name; the same document has the same name wherever it is set aside. */
  readonly id: string
  /** Why. */
  readonly error: CoweaveError
  /** When, as of `Date.now()`. */
  readonly time: number
  /** All of it, as a Yjs update (v1). */
  readonly update: Uint8Array
  readonly #read: (update: Uint8Array) => string
  readonly #drop: () => Promise<void>
  #texts: Readonly<Record<string, string>> | undefined

  /** @internal */
  constructor(
    id: string,
    { error, time }: CopyDetails,
    update: Uint8Array,
    read: (update: Uint8Array) => string,
    drop: () => Promise<void>,
  ) {
    this.id = id
    this.error = new CoweaveError(error)
    this.time = time
    this.update = update
    this.#read = read
    this.#drop = drop
  }

  /**
   * The texts in it, by name; none when it is only a part of a document. Throws `client.load_failed`
   * when there is no module, and `api.disposed` after the client was.
   */
  get texts(): Readonly<Record<string, string>> {
    this.#texts ??= this.#readTexts()
    return this.#texts
  }

  #readTexts(): Readonly<Record<string, string>> {
    try {
      const pairs = JSON.parse(guarded(() => this.#read(this.update))) as readonly (readonly [string, string])[]
      return Object.fromEntries(pairs)
    } catch (error) {
      // What the device could not use is set aside as it is.
      if (error instanceof CoweaveError && error.code.startsWith('update.')) return {}
      throw error
    }
  }

  /** A text in it; empty when there is none of this name. Throws as `texts`. */
  text(name: string): string {
    return Object.hasOwn(this.texts, name) ? this.texts[name] ?? '' : ''
  }

  /**
   * Forgets it for good, on this device too. Rejects with `device.unavailable` when the store fails: the copy
   * is still there then, and can be dropped again. Rejects with `api.disposed` after the client was disposed.
   */
  async drop(): Promise<void> {
    await this.#drop()
  }
}

/** What was set aside through one client, and what the device has from before. */
export class Copies {
  readonly #session: Session
  /** Of this client, by room and id: where nothing is kept on a device, there is no other place. */
  readonly #own = new Map<string, Map<string, { readonly copy: SetAsideCopy; isOnDevice: boolean }>>()

  constructor(session: Session) {
    this.#session = session
  }

  /** Takes a copy in that is in the news. */
  add(room: string, id: string, about: CopyDetails): SetAsideCopy {
    const update = guarded(() => this.#session.use().takeCopy(id)) ?? new Uint8Array()
    const copy = this.#copy(room, id, about, update)
    const own = this.#own.get(room) ?? new Map<string, { readonly copy: SetAsideCopy; isOnDevice: boolean }>()
    own.set(id, { copy, isOnDevice: false })
    this.#own.set(room, own)
    return copy
  }

  /** Whether this client has set something of a room aside that was not dropped. */
  has(room: string): boolean {
    return (this.#own.get(room)?.size ?? 0) > 0
  }

  /** All copies of a room, the oldest first. */
  async list(room: string): Promise<readonly SetAsideCopy[]> {
    const own = this.#own.get(room)
    const stored = await this.#stored(room).catch((error: unknown) => {
      // Where the device fails, those of this client are still there.
      if (own === undefined || own.size === 0) throw error
      return undefined
    })
    if (stored === undefined) return [...own?.values() ?? []].map(({ copy }) => copy)
    const copies = new Map<string, SetAsideCopy>()
    for (let at = 0; at < stored.length; at += 3) {
      const [id, about, update] = stored.slice(at, at + 3) as [string, string, Uint8Array]
      const known = own?.get(id)
      if (known !== undefined) known.isOnDevice = true
      copies.set(id, known?.copy ?? this.#copy(room, id, JSON.parse(about) as CopyDetails, update))
    }
    for (const [id, { copy, isOnDevice }] of own ?? []) {
      // One that was on the device and is not any more was dropped in another tab.
      if (isOnDevice && !copies.has(id)) own?.delete(id)
      else copies.set(id, copy)
    }
    return [...copies.values()].sort((one, other) => one.time - other.time)
  }

  async #stored(room: string): Promise<readonly (string | Uint8Array)[]> {
    return await this.#session.ask(wasm => wasm.copies(room)) as readonly (string | Uint8Array)[]
  }

  #copy(room: string, id: string, about: CopyDetails, update: Uint8Array): SetAsideCopy {
    const read = (bytes: Uint8Array): string => this.#session.classes().Room.textsOf(bytes)
    return new SetAsideCopy(id, about, update, read, async () => {
      await this.#session.ask(wasm => wasm.dropCopy(room, id))
      this.#own.get(room)?.delete(id)
    })
  }
}
