// What all shared types have in common.

import { checkFunction, checkIndex, wrongType } from './argument.js'
import type { DeepChange, Delta, Formats, KeyChange, SequenceDelta } from './delta.js'
import type { Disposer } from './disposer.js'
import { Kind, type KindName, kindNames } from './kind.js'
import type { Nodes } from './nodes.js'
import { type Position, jsonOf } from './position.js'
import { type MakeNode, fromJson, revive } from './value.js'
import type { ChangeView } from './view.js'
import type { WasmNode } from './wasm.js'

/** Which shared type of a document. */
export type NodeId =
  | { readonly kind: Kind; readonly name: string }
  | { readonly kind: Kind; readonly client: number; readonly clock: number }

/** A document that shared types are parts of. */
export interface NodeSource {
  /** The names that are used, and for which kinds of types. */
  readonly claimed: ReadonlyMap<string, Kind>
  /** Checks that a name is used for one kind of type only. */
  claim(kind: Kind, name: string): void
  /** Uses a shared type. */
  use<T>(id: NodeId, use: (node: WasmNode) => T): T
  /** Changes a shared type. */
  edit(id: NodeId, edit: (node: WasmNode) => void): void
  subscribe(id: NodeId, isDeep: boolean, listener: (changes: readonly ChangeView[]) => void): Disposer
}

/** The same text for the same type. */
export function nodeKey(id: NodeId): string {
  return 'name' in id ? `/${id.name}` : `${String(id.client)}.${String(id.clock)}`
}

/**
 * A part of a document that several people can change. The same part is always the same object.
 *
 * Every use throws `api.not_ready` before `room.loaded`, `api.disposed` after the room was disposed,
 * and `api.deleted` when the part was deleted; every change `room.read_only` for a viewer or in a
 * document of the past, and `room.deleted` when the room is no more. An argument of the wrong type
 * throws `api.wrong_type`, and an index or a length below 0 or above 2^32 - 1 `api.out_of_range`. What
 * throws changes nothing.
 */
export abstract class SharedNode {
  /** What it is. */
  readonly kind: KindName
  /** @internal */
  protected readonly nodes: Nodes
  /** @internal */
  readonly id: NodeId

  /** @internal */
  constructor(nodes: Nodes, id: NodeId) {
    this.nodes = nodes
    this.id = id
    this.kind = kindNames[id.kind]
  }

  /** @internal Whether it is a part of this document. */
  isOf(source: NodeSource): boolean {
    return this.nodes.session === source
  }

  /**
   * Calls a function after each transaction that changed this type or one inside it, with all those
   * changes, outer types first. See `Text.subscribe` for when.
   */
  subscribeDeep(listener: (changes: readonly DeepChange[]) => void): Disposer {
    checkFunction(listener, 'the listener')
    return this.nodes.subscribe(this.id, true, views => {
      listener(views.map(view => this.nodes.toDeepChange(view)))
    })
  }

  /** @internal */
  protected subscribeView(call: (view: ChangeView) => void): Disposer {
    return this.nodes.subscribe(this.id, false, views => {
      for (const view of views) call(view)
    })
  }

  /** @internal */
  protected read(json: string): unknown {
    return fromJson(json, this.nodes.make)
  }

  /** Everything inside as plain data. */
  toJSON(): unknown {
    return this.#plain()
  }

  #plain(): unknown {
    // What is embedded in a text among elements comes as a shared type.
    return this.readTree((id, name) => this.nodes.get(id, name).#plain())
  }

  /** @internal */
  protected readTree(makeNode: MakeNode): unknown {
    return fromJson(this.nodes.session.use(this.id, node => node.tree()), makeNode)
  }
}

/** A shared type with a length: of a text in UTF-16 code units, of others in entries. */
export abstract class SharedSequence extends SharedNode {
  /** How long it is, from 0 to 2^32 - 1. */
  get length(): number {
    return this.nodes.session.use(this.id, node => node.length())
  }

  /**
   * Deletes so much from an index on: code units of a text, entries of others. Throws `api.out_of_range`
   * beyond the end, and `api.split_surrogate` in the middle of a character.
   */
  delete(index: number, length: number): void {
    const at = checkIndex(index, 'the index')
    const checked = checkIndex(length, 'the length')
    this.nodes.session.edit(this.id, node => {
      node.delete(at, checked)
    })
  }

  /**
   * A position at an index, from 0 to the length; `side` says to which neighbor it sticks when something
   * comes between. Throws `api.out_of_range` beyond the end.
   */
  position(index: number, side: 'left' | 'right' = 'right'): Position {
    const at = checkIndex(index, 'the index')
    // Types promise nothing at run time.
    if (!['left', 'right'].includes(side)) throw wrongType('the side', "'left' or 'right'", side)
    const json = this.nodes.session.use(this.id, node => node.position(at, side === 'left'))
    return JSON.parse(json) as Position
  }

  /**
   * The index of a position now; `null` when it is none of this type, or one that has not arrived
   * here yet. Anything may be handed in, because positions come from others.
   */
  resolve(position: Position | null | undefined): number | null {
    const json = jsonOf(position)
    return this.nodes.session.use(this.id, node => node.resolve(json)) ?? null
  }
}

/** The steps of a change, with the objects of this document. */
export function toDelta(view: ChangeView, nodes: Nodes): (Delta | SequenceDelta<unknown>)[] {
  const isText = view.target['\u0000'][0] === Kind.text || view.target['\u0000'][0] === Kind.xmlText
  return view.delta.flatMap((step): (Delta | SequenceDelta<unknown>)[] => {
    if ('delete' in step) return [step]
    const attributes = step.attributes === undefined
      ? undefined
      : revive(step.attributes, nodes.make) as Formats
    if (!('insert' in step) || typeof step.insert === 'string') {
      return [{ ...step, ...attributes !== undefined && { attributes } } as Delta]
    }
    const values = revive(step.insert, nodes.make) as object[]
    if (!isText) return [{ insert: values }]
    // In a text each embedded object is a step of its own.
    return values.map(insert => ({ insert, ...attributes !== undefined && { attributes } }))
  })
}

/** How entries changed, with the objects of this document. */
export function toKeys(view: ChangeView, nodes: Nodes): Map<string, KeyChange> {
  return new Map(view.keys.map(([key, before, after]): [string, KeyChange] => {
    const action = before.length === 0 ? 'add' : after.length === 0 ? 'delete' : 'update'
    return [key, { action, before: revive(before[0], nodes.make), after: revive(after[0], nodes.make) }]
  }))
}
