// The shared types of one document, as one holder of it has them.

import { SharedArray } from './array.js'
import type { DeepChange } from './delta.js'
import type { Disposer } from './disposer.js'
import { Kind } from './kind.js'
import { SharedMap } from './map.js'
import { type NodeId, type NodeSource, type SharedNode, nodeKey, toDelta, toKeys } from './shared.js'
import { Text } from './text.js'
import { type MakeNode, toNodeId } from './value.js'
import type { ChangeView } from './view.js'
import { XmlElement, XmlFragment, XmlText } from './xml.js'

/** Who has a document, for as long as that is so. */
export interface Holder {
  use(): NodeSource
  own(subscription: Disposer): Disposer
}

export class Nodes {
  /** Gives the object of a type that the module told of. */
  readonly make: MakeNode = (id, name) => this.get(id, name)
  readonly #holder: Holder
  /** Types that somebody holds. */
  readonly #known = new Map<string, WeakRef<SharedNode>>()
  readonly #dropped = new FinalizationRegistry<string>(key => {
    if (this.#known.get(key)?.deref() === undefined) this.#known.delete(key)
  })

  constructor(holder: Holder) {
    this.#holder = holder
  }

  get session(): NodeSource {
    return this.#holder.use()
  }

  /** The object of a type: the same one as long as somebody holds it. */
  get(id: NodeId, name?: string): SharedNode {
    const key = nodeKey(id)
    const known = this.#known.get(key)?.deref()
    if (known !== undefined) return known
    const node = this.#create(id, name)
    this.#known.set(key, new WeakRef(node))
    this.#dropped.register(node, key)
    return node
  }

  #create(id: NodeId, name: string | undefined): SharedNode {
    switch (id.kind) {
      case Kind.array:
        return new SharedArray(this, id)
      case Kind.map:
        return new SharedMap(this, id)
      case Kind.text:
        return new Text(this, id)
      case Kind.xmlElement:
        return new XmlElement(this, id, name ?? '')
      case Kind.xmlFragment:
        return new XmlFragment(this, id)
      case Kind.xmlText:
        return new XmlText(this, id)
    }
  }

  subscribe(
    id: NodeId,
    isDeep: boolean,
    call: (views: readonly ChangeView[]) => void,
  ): Disposer {
    return this.#holder.own(this.session.subscribe(id, isDeep, call))
  }

  toDeepChange(view: ChangeView): DeepChange {
    const target = view.target['\u0000']
    return {
      target: this.get(toNodeId(target), target[3] as string | undefined),
      path: view.path,
      delta: toDelta(view, this),
      keys: toKeys(view, this),
      local: view.local,
      origin: view.origin,
    }
  }
}
