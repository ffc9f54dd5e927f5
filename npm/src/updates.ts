// Updates of a room's document on their way to the app: each of them once.

import type { Disposer } from './disposer.js'
import { Listeners } from './listeners.js'

/** As much as the module sends at once. */
const MERGED_BYTES_MAX = 384 << 10

/** Where an update comes from. */
export interface UpdateInfo {
  /** What `doc.applyUpdate` or `doc.transact` was given, or `undefined`. */
  readonly origin: unknown
  /** Whether the change was made through this client. */
  readonly local: boolean
}

/** Is called with a Yjs update (v1). */
export type UpdateListener = (update: Uint8Array, info: UpdateInfo) => void

interface News extends UpdateInfo {
  readonly number: number
  readonly update: Uint8Array
}

/** What came into a document, kept while somebody listens, until the app is told. */
export class Updates {
  /** Nothing is news at the moment: another instance takes in what was told. */
  isPaused = false
  /** Of what is edited now. */
  origin: unknown
  readonly #listeners: Listeners<News> = new Listeners()
  #count = 0
  #news: News[] = []
  /** Of the document that takes the place of the one that the app knows. */
  #next: News[] | undefined
  /** From here on the news are those of the transaction that is open. */
  #open: number | undefined

  /** Whether there is nothing to tell. */
  get isEmpty(): boolean {
    return this.#news.length === 0 && this.#next === undefined
  }

  /** What came before is not told. */
  add(listener: UpdateListener): Disposer {
    const before = this.#count
    return this.#listeners.add(({ number, update, origin, local }) => {
      if (number > before) listener(update, { origin, local })
    })
  }

  /** Takes an update in, whose memory is only lent; true when there is somebody to tell. */
  note(update: Uint8Array, local: boolean): boolean {
    if (this.isPaused || this.#listeners.isEmpty) return false
    this.#count += 1
    const news = { number: this.#count, update: update.slice(), origin: local ? this.origin : undefined, local }
    ;(this.#next ?? this.#news).push(news)
    return true
  }

  /** A transaction begins: what it brings is told when it is over. */
  begin(): void {
    this.#open = this.#news.length
  }

  /** It is over, and becomes one update for each origin, in turn; several when they are large. */
  commit(merge: (updates: Uint8Array[]) => Uint8Array): void {
    const news = this.#news.splice(this.#open ?? this.#news.length)
    this.#open = undefined
    try {
      for (let [first] = news; first !== undefined; [first] = news) {
        const group = together(first, news)
        const update = group.length === 1 ? first.update : merge(group.map(it => it.update))
        this.#news.push({ ...group.at(-1) ?? first, update })
        news.splice(0, group.length)
      }
    } finally {
      // Whatever happens on the way, they are told.
      this.#news.push(...news)
    }
  }

  /** What follows is about another document. */
  began(): void {
    this.#next = []
  }

  /** Tells of the document that the app knows. */
  take(): readonly (() => void)[] {
    const news = this.#news.splice(0, this.#open ?? this.#news.length)
    if (this.#open !== undefined) this.#open = 0
    return news.map(it => () => {
      this.#listeners.notify(it)
    })
  }

  /** Tells of the one that takes its place. */
  takeNext(): readonly (() => void)[] {
    this.#news.push(...this.#next ?? [])
    this.#next = undefined
    return this.take()
  }
}

/** Those at the beginning that become one. */
function together({ local, origin }: News, news: readonly News[]): readonly News[] {
  let bytes = 0
  const end = news.findIndex((it, at) => {
    bytes += it.update.length
    return it.local !== local || it.origin !== origin || (at > 0 && bytes > MERGED_BYTES_MAX)
  })
  return end < 0 ? news : news.slice(0, end)
}
