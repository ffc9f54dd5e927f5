// The only file that knows the generated module. Its classes are described here once more, so that
// the package's own types do not depend on generated ones; the compiler compares the two.

import initializeModule, { Client, textsOf as generatedTextsOf } from '../wasm/coweave.js'
import type { Figures } from './figures.js'

/** A session with a relay. Its methods, and those of its rooms and texts, throw JSON text. */
export interface WasmClient {
  openRoom(name: string): WasmRoom
  /** The content of a copy in the news; given once. */
  takeCopy(id: string): Uint8Array | undefined
  /** What the device keeps that was set aside of a room: id, JSON and content of each. */
  copies(room: string): Promise<unknown>
  /** Deletes a copy from the device. */
  dropCopy(room: string, id: string): Promise<unknown>
  /** Sends what was edited since the last call, and takes the news of all rooms as JSON. */
  drain(): string
  /** What a developer gets to see of the connection. */
  debug(): Figures
  dispose(): void
  free(): void
}

/** An opened room. */
export interface WasmRoom {
  /** The name of the room in the news. */
  readonly key: number
  setPresence(json?: string): void
  begin(): void
  commit(): void
  text(name: string): WasmText
  /** Asks for a flush; the answer is its number in the news. */
  flush(): number
  /** What becomes of edits that the relay refuses for good. */
  keepRefused(keeps: boolean): void
  /** Brings texts to a room without content. */
  seed(names: string[], contents: string[]): void
  /** What a developer gets to see of the room. */
  debug(): Figures | undefined
  close(): void
  free(): void
}

/** A text of a room. */
export interface WasmText {
  insert(index: number, content: string): void
  delete(index: number, length: number): void
  content(): string
  length(): number
  observe(): void
  unobserve(): void
  /** JSON of a position. */
  position(index: number, before: boolean): string
  /** An index for the JSON of a position. */
  resolve(position: string): number | undefined
  free(): void
}

/** Makes a session. */
export const WasmClient: new (
  url: string,
  makeSocket: (url: string, protocol: string) => object,
  token: (() => Promise<string>) | undefined,
  onDevice: boolean,
  user: string | undefined,
  notify: () => void,
) => WasmClient = Client

/** The texts in an update, as JSON: pairs of names and contents. */
export const textsOf: (update: Uint8Array) => string = generatedTextsOf

/** Instantiates the module from an address or its bytes. */
export const initialize: (source: {
  readonly module_or_path: string | URL | BufferSource
}) => Promise<unknown> = initializeModule
