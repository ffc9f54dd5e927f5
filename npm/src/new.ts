// Shared types that are not in a document yet.

import type { Delta } from './delta.js'
import type { SharedArray } from './array.js'
import type { SharedMap } from './map.js'
import type { SharedNode } from './shared.js'
import type { Text } from './text.js'
import type { XmlChild, XmlElement, XmlFragment, XmlText } from './xml.js'
import { Kind } from './kind.js'

/**
 * A description of a shared type: set or inserted somewhere, it becomes one. The same description
 * may be used more than once, and makes another type each time. Nothing is looked at before: what is
 * wrong in it throws where it is set or inserted, as `SharedMap.set` says.
 */
export class New<N extends SharedNode = SharedNode> {
  /** Only for the compiler: what it becomes. */
  declare readonly becomes: N
  /** @internal */
  readonly kind: Kind
  /** @internal */
  readonly parts: readonly unknown[]

  /** @internal */
  constructor(kind: Kind, parts: readonly unknown[]) {
    this.kind = kind
    this.parts = parts
  }
}

/**
 * What can be written where `V` is read: for a shared type, a description of a new one; `undefined`
 * never.
 */
export type Input<V> = V extends SharedNode ? New<V> : Exclude<V, undefined>

/** The entries of a new map; those that are `undefined` are left out, as in JSON. */
export type Entries<T extends object> = { readonly [K in keyof T]: Input<T[K]> }

/** A new map, of plain values and descriptions of other types. */
export function newMap<T extends object>(entries: Partial<Entries<T>> = {}): New<SharedMap<T>> {
  return new New(Kind.map, [entries])
}

/** A new array, of plain values and descriptions of other types. */
export function newArray<T>(items: readonly Input<T>[] = []): New<SharedArray<T>> {
  return new New(Kind.array, [items])
}

/** A new text: plain, or the steps of a delta that insert. */
export function newText(content: string | readonly Delta[] = ''): New<Text> {
  return new New(Kind.text, [toDelta(content)])
}

/** A new element: its name, its attributes, which are plain values, and its children. */
export function newXmlElement(
  name: string,
  attributes: Readonly<Record<string, unknown>> = {},
  children: readonly New<XmlChild>[] = [],
): New<XmlElement> {
  return new New(Kind.xmlElement, [name, attributes, children])
}

/** A new text among elements: plain, or the steps of a delta that insert. */
export function newXmlText(content: string | readonly Delta[] = ''): New<XmlText> {
  return new New(Kind.xmlText, [toDelta(content)])
}

/** A new fragment inside another type, of its children. */
export function newXmlFragment(
  children: readonly New<XmlChild>[] = [],
): New<XmlFragment> {
  return new New(Kind.xmlFragment, [children])
}

function toDelta(content: string | readonly Delta[]): readonly Delta[] {
  if (typeof content !== 'string') return content
  return content === '' ? [] : [{ insert: content }]
}

