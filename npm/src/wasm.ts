// The only file that knows the generated module. Its classes are described here once more, so that
// the package's own types do not depend on generated ones; the compiler compares the two.

import { instantiate as instantiateModule } from '../wasm/coweave.js'
import type { Figures } from './figures.js'

/** A session with a relay. Its methods, and those of its rooms and texts, throw JSON text. */
export interface WasmClient {
  openRoom(name: string): WasmRoom
  /** Takes a frame of the socket; nothing for a text. */
  receive(frame?: Uint8Array): void
  /** Leaves edits that were left on the device in a room to whoever opens it. */
  leaveAlone(name: string): void
  /** The content of a copy in the news; given once. */
  takeCopy(id: string): Uint8Array | undefined
  /** What the device keeps that was set aside of a room: id, JSON and content of each. */
  copies(room: string): Promise<unknown>
  /** Deletes a copy from the device. */
  dropCopy(room: string, id: string): Promise<unknown>
  /**
   * Sends what was edited since the last call, and takes the news as JSON: batches, and changes of each.
   * Of what is saved now the keeper is told; there may be no other news.
   */
  drain(): string | undefined
  /** What a developer gets to see of the connection. */
  debug(): Figures
  /** The network may be back, or time was lost. */
  probe(): void
  /** The other tabs may know of this one. */
  tabReady(): void
  /** This tab leads. */
  tabLeads(): void
  /** A tab that was watched is no more. */
  tabGone(id: number): void
  /** A message of another tab. */
  tabHeard(message: Uint8Array): void
  dispose(): void
  free(): void
}

/** An opened room. */
export interface WasmRoom {
  /** The name of the room in the news. */
  readonly key: number
  setPresence(json?: string): void
  begin(origin: number): void
  commit(): void
  /** A shared type with a name. */
  node(kind: number, name: string): WasmNode | undefined
  /** Begins to gather edits that can be undone; those within so many milliseconds are one item. */
  undo(timeout: number): WasmUndo
  /** Asks for a flush; the answer is its number in the news. */
  flush(): number
  /** What becomes of edits that the relay refuses for good. */
  keepRefused(keeps: boolean): void
  /** What a developer gets to see of the room. */
  debug(): Figures | undefined
  /** Brings an update of `seedUpdate` to a room without content. */
  seed(update: Uint8Array): void
  /** Takes in what the keeper was given by an instance that is gone. */
  restore(update: Uint8Array, isPending: boolean, isNews: boolean): void
  /** All that the app was told is restored; the lineage is empty when there is no history. */
  restored(lineage: Uint8Array, epoch: number): void
  /** The whole document as one update. */
  state(): Uint8Array
  /** How far the structs of each client are in the document. */
  stateVector(): Uint8Array
  /** What somebody lacks who has this state vector. */
  difference(stateVector: Uint8Array): Uint8Array
  /** Takes an update in as an edit, and as one change. */
  import(update: Uint8Array, origin: number): void
  /** The same update in version 1, for one in version 2. */
  toVersion1(update: Uint8Array): Uint8Array
  /** One update that brings what several bring, which follow each other. */
  merge(updates: Uint8Array[]): Uint8Array
  /** Which edits the document has now. */
  snapshot(): Uint8Array
  /** Whether the document has exactly these. */
  isAt(snapshot: Uint8Array): boolean
  /** What the document was at a snapshot, or that of a later state. */
  past(snapshot: Uint8Array, state?: Uint8Array): WasmPast
  close(): void
  free(): void
}

/** A document as it was at a snapshot. */
export interface WasmPast {
  /** A shared type with a name. */
  node(kind: number, name: string): WasmNode | undefined
  state(): Uint8Array
  free(): void
}

/** A shared type of a document; contents are JSON (see value.ts). */
export interface WasmNode {
  /** Means another type from here on, one that is nested. */
  point(kind: number, client: number, clock: number): void
  insertText(index: number, content: string): void
  apply(delta: string): void
  text(): string
  delta(): string
  insert(index: number, contents: string): void
  delete(index: number, length: number): void
  length(): number
  get(index: number): string | undefined
  items(): string
  setEntry(key: string, content: string): void
  deleteEntry(key: string): void
  getEntry(key: string): string | undefined
  hasEntry(key: string): boolean
  entries(): string
  entryNames(): string
  entryCount(): number
  tree(): string
  observe(isDeep: boolean): void
  unobserve(isDeep: boolean): void
  /** JSON of a position. */
  position(index: number, before: boolean): string
  /** An index for the JSON of a position. */
  resolve(position: string): number | undefined
  free(): void
}

/** Edits that can be undone. */
export interface WasmUndo {
  /** Gathers edits of a type from here on. */
  add(node: WasmNode): void
  /** Whether what is edited from here on is gathered. */
  track(isTracking: boolean): void
  /** Undoes or redoes the last item; whether that changed anything. */
  takeBack(isRedo: boolean): boolean
  stop(): void
  clear(): void
  /** What happened, as JSON: see undo.ts. */
  take(): string
  close(): void
  free(): void
}

/** The way to the other tabs of the browser. It is called from within, and calls nothing back. */
export interface WasmTabs {
  /** Sends a message to one tab, or to all. */
  post(to: number | undefined, message: Uint8Array): void
  /** Has `tabGone` called when the tab is no more. */
  watch(id: number): void
  /** The tab is no more. */
  forget(id: number): void
}

/** Is told what is in each room, to go on from. It is called from within, and calls nothing. */
export interface WasmKeeper {
  edited(room: number, update: Uint8Array): void
  own(room: number, number: number, update: Uint8Array): void
  adopted(room: number, number: number, update: Uint8Array): void
  other(room: number, update: Uint8Array): void
  durable(room: number, through: number): void
  history(room: number, lineage: Uint8Array, epoch: number): void
  /** The document is another one. */
  began(room: number): void
  /** What is saved now; `tier` is a number of `savedTiers`. */
  saved(room: number, tier: number, pending: number, isOnDevice: boolean): void
  /**
   * A connection to the device's database is there, to be closed when the instance cannot. The answer is whether it is
   * a new database in the place of one that the browser threw away.
   */
  opened(database: IDBDatabase, isNew: boolean): boolean
  /** A room is open that no app has opened, or none: for edits that were left on the device. */
  carry(name: string | undefined): void
}

/** What an instance of the module offers. */
export interface WasmClasses {
  readonly Client: new (
    url: string,
    makeSocket: (url: string, protocol: string) => object,
    token: (() => Promise<string>) | undefined,
    onDevice: boolean,
    user: string | undefined,
    session: Uint8Array,
    notify: () => void,
    keeper: WasmKeeper,
    tab: number | undefined,
    tabs: WasmTabs | undefined,
  ) => WasmClient
  readonly Room: {
    /** Texts as one update. */
    seedUpdate(names: string[], contents: string[]): Uint8Array
    /** The texts in an update, as JSON: pairs of names and contents. */
    textsOf(update: Uint8Array): string
  }
  /** Lets go of the memory. */
  readonly release: () => void
}

/** Makes an instance; its exports are used as `protect` gives them back. */
export const instantiate: (
  module: WebAssembly.Module,
  protect: (exports: WebAssembly.Exports) => WebAssembly.Exports,
) => WasmClasses = instantiateModule
