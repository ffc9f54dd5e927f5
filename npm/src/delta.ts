// Changes of texts, and those of sequences, as apps see and make them.

import type { SharedNode } from './shared.js'

/** Formats by name, for example `{ bold: true }`; `null` takes one away. */
export type Formats = Readonly<Record<string, unknown>>

/**
 * A step of a change of a text, from its beginning on, counted in UTF-16 code units. What is
 * inserted is text, or an embedded object or shared type, which counts one.
 */
export type Delta =
  | { readonly insert: string | object; readonly attributes?: Formats }
  | { readonly delete: number }
  | { readonly retain: number; readonly attributes?: Formats }

/** A step of a change of a sequence, from its beginning on, counted in entries. */
export type SequenceDelta<T> =
  | { readonly insert: readonly T[] }
  | { readonly delete: number }
  | { readonly retain: number }

/** How one entry of a map, or one attribute, changed. */
export interface KeyChange {
  /** What became of it; `update` when one value took the place of another. */
  readonly action: 'add' | 'update' | 'delete'
  /**
   * What was there; `undefined` when it was added. A shared type that was there is deleted, and its use
   * throws `api.deleted`.
   */
  readonly before: unknown
  /** What is there now; `undefined` when it was deleted. */
  readonly after: unknown
}

/** What all changes say. */
export interface ChangeSource {
  /** Whether the change was made through this client. */
  readonly local: boolean
  /** What `doc.transact` was given, for a local change. */
  readonly origin: unknown
}

/** How a shared type changed, itself or somewhere inside. */
export interface DeepChange extends ChangeSource {
  /** The type that changed. */
  readonly target: SharedNode
  /** The way to it from the type that is subscribed to: keys and indexes. */
  readonly path: readonly (string | number)[]
  /** How its text or sequence changed; empty when it did not. */
  readonly delta: readonly (Delta | SequenceDelta<unknown>)[]
  /** How its entries or attributes changed; empty when they did not. */
  readonly keys: ReadonlyMap<string, KeyChange>
}
