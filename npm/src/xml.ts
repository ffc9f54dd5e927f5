// Elements, fragments and texts of a document, as editors of rich text keep them.

import { checkFunction, checkIndex } from './argument.js'
import type { ChangeSource, Delta, KeyChange, SequenceDelta } from './delta.js'
import type { Disposer } from './disposer.js'
import type { New } from './new.js'
import type { Nodes } from './nodes.js'
import { type NodeId, SharedSequence, toDelta, toKeys } from './shared.js'
import { Text } from './text.js'
import { checkKey, checkName, contentJson, contentsJson } from './value.js'

/** What stands in an element or a fragment. */
export type XmlChild = XmlElement | XmlText | XmlFragment

/** The content of an element or a fragment as plain data. */
export type XmlJson =
  | {
    readonly name: string
    readonly attributes: Readonly<Record<string, unknown>>
    readonly children: readonly XmlJson[]
  }
  | { readonly delta: readonly Delta[] }
  | readonly XmlJson[]

/** How an element or a fragment changed. */
export interface XmlChange extends ChangeSource {
  /** How its children changed; what follows the last step stays as it is. */
  readonly delta: readonly SequenceDelta<XmlChild>[]
  /** The attributes that are different now. */
  readonly keys: ReadonlyMap<string, KeyChange>
}

/** Something with children. */
export abstract class XmlParent extends SharedSequence {
  /** What it is. */
  declare readonly kind: 'xmlFragment' | 'xmlElement'

  /** The child at an index, from 0 on; `undefined` when there is none. */
  get(index: number): XmlChild | undefined {
    const at = checkIndex(index, 'the index')
    const json = this.nodes.session.use(this.id, node => node.get(at))
    return json === undefined ? undefined : this.read(json) as XmlChild
  }

  /** Inserts children before the one at an index; throws as `SharedArray.insert`. */
  insert(index: number, ...children: readonly New<XmlChild>[]): void {
    this.insertAll(index, children)
  }

  /** Inserts a list of children, which may be longer than a call can have arguments; throws as `insert`. */
  insertAll(index: number, children: readonly New<XmlChild>[]): void {
    const at = checkIndex(index, 'the index')
    const json = contentsJson(children, 'a child')
    this.nodes.session.edit(this.id, node => {
      node.insert(at, json)
    })
  }

  /** Adds children at the end; throws as `insert`. */
  push(...children: readonly New<XmlChild>[]): void {
    this.insertAll(this.length, children)
  }

  /** All children. */
  children(): XmlChild[] {
    return this.read(this.nodes.session.use(this.id, node => node.items())) as XmlChild[]
  }

  /** Everything inside, in one call. */
  override toJSON(): XmlJson {
    return super.toJSON() as XmlJson
  }

  /** As XML, as Yjs writes it: for people to look at, because nothing is escaped. */
  override toString(): string {
    return toXml(this.readTree(this.nodes.make))
  }

  /**
   * Calls a function after each transaction that changed its children or attributes, the local ones
   * included; see `Text.subscribe` for when.
   */
  subscribe(listener: (change: XmlChange) => void): Disposer {
    checkFunction(listener, 'the listener')
    return this.subscribeView(view => {
      const { local, origin } = view
      const delta = toDelta(view, this.nodes) as SequenceDelta<XmlChild>[]
      listener({ delta, keys: toKeys(view, this.nodes), local, origin })
    })
  }
}

/** A list of elements and texts. */
export class XmlFragment extends XmlParent {
  /** What it is. */
  declare readonly kind: 'xmlFragment'
}

/** Something with a name, attributes and children. */
export class XmlElement extends XmlParent {
  /** What it is. */
  declare readonly kind: 'xmlElement'
  /** Its name, for example `paragraph`; it never changes. */
  readonly name: string

  /** @internal */
  constructor(nodes: Nodes, id: NodeId, name: string) {
    super(nodes, id)
    this.name = name
  }

  /** The value of an attribute; `undefined` when there is none. */
  getAttribute(key: string): unknown {
    const name = checkName(key)
    const json = this.nodes.session.use(this.id, node => node.getEntry(name))
    return json === undefined ? undefined : this.read(json)
  }

  /** Sets an attribute to any plain value; throws as `SharedMap.set`. */
  setAttribute(key: string, value: unknown): void {
    const name = checkKey(key)
    const json = contentJson(value, `the attribute ${name}`)
    this.nodes.session.edit(this.id, node => {
      node.setEntry(name, json)
    })
  }

  /** Removes an attribute, when there is one; throws as `SharedMap.delete`. */
  removeAttribute(key: string): void {
    const name = checkName(key)
    this.nodes.session.edit(this.id, node => {
      node.deleteEntry(name)
    })
  }

  /** All attributes, by name, sorted as `SharedMap.keys` has them. */
  attributes(): Record<string, unknown> {
    const json = this.nodes.session.use(this.id, node => node.entries())
    return this.read(json) as Record<string, unknown>
  }
}

/** A text among elements. */
export class XmlText extends Text {
  /** What it is. */
  declare readonly kind: 'xmlText'

  /** As XML, as Yjs writes it: formats are elements around the text. */
  toXml(): string {
    return toXml({ delta: this.toDelta() })
  }
}

/** Other peers may have put anything among the children. */
function toXml(json: unknown): string {
  if (Array.isArray(json)) return json.map(toXml).join('')
  const { delta, name, attributes, children } = Object(json) as Record<string, unknown>
  if (Array.isArray(delta)) return delta.map(formattedXml).join('')
  if (typeof name !== 'string' || !Array.isArray(children)) return String(json)
  const tag = name.toLocaleLowerCase()
  return `<${tag}${attributesXml(attributes)}>${children.map(toXml).join('')}</${tag}>`
}

function formattedXml(step: unknown): string {
  const { insert, attributes } = Object(step) as Record<string, unknown>
  let xml = insert instanceof XmlText ? insert.toXml() : String(insert)
  const formats = Object.entries(attributes ?? {}).sort(([a], [b]) => (a < b ? 1 : -1))
  for (const [name, value] of formats) {
    xml = `<${name}${attributesXml(value)}>${xml}</${name}>`
  }
  return xml
}

function attributesXml(attributes: unknown): string {
  const entries = Object.entries(attributes ?? {}).sort(([a], [b]) => (a < b ? -1 : 1))
  return entries.map(([key, value]) => ` ${key}="${String(value)}"`).join('')
}
