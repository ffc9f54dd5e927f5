// Undo beside that of Yjs: the same histories, with somebody else writing in between.

import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import {
  type Doc,
  type New,
  type SharedArray,
  type SharedMap,
  type Undo,
  type XmlElement,
  type XmlText,
  newMap,
  newXmlElement,
  newXmlText,
} from 'coweave'
import * as Y from 'yjs'
import { open, turn } from './world.js'

/** How many histories; more of them with COWEAVE_HISTORIES. */
const HISTORIES = Number(process.env['COWEAVE_HISTORIES'] ?? 60)
const FIRST = Number(process.env['COWEAVE_FIRST'] ?? 1)
const STEPS = 40

/** Numbers that are the same each time. */
class Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed * 2654435761 >>> 0
  }

  below(end: number): number {
    this.#state = this.#state + 0x6d2b79f5 >>> 0
    let mixed = Math.imul(this.#state ^ this.#state >>> 15, 1 | this.#state)
    mixed = mixed + Math.imul(mixed ^ mixed >>> 7, 61 | mixed) ^ mixed
    return ((mixed ^ mixed >>> 14) >>> 0) % end
  }
}

/**
 * Histories of the first thousand in which Yjs does something else, each for one of four reasons:
 * of what came back in one piece and was cut since, it takes back the first part only, or what was
 * deleted since comes back or goes with it; it lets a value come back in the place of one that others
 * have written in, which stays here; it inserts before what was deleted at an index, and yrs behind it;
 * it deletes formats of others with the last text that had them, and brings both back. The last two
 * are tests of their own in tests/interop/divergences.test.mjs.
 */
const OTHER_IN_YJS: Readonly<Record<'alone' | 'together', readonly number[]>> = {
  alone: [482, 508, 610, 887],
  together: [
    ...[112, 342, 595, 772, 827],
    ...[5, 265, 313, 481, 493, 599, 676, 847, 991],
    ...[289, 589, 927],
    ...[62, 308, 557, 636, 637],
  ],
}

/** One edit, as numbers: what it means depends on the document. */
interface Step {
  readonly kind: number
  readonly at: number
  readonly length: number
  readonly name: string
}

const WORDS = ['a', 'bc', 'def', '😀', 'ghij']

function word(step: Step): string {
  return WORDS[step.length % WORDS.length] ?? ''
}

/** The same edit in a document of Yjs. */
function editYjs(doc: Y.Doc, step: Step): void {
  const [text, map, array, xml] = [doc.getText('t'), doc.getMap('m'), doc.getArray('a'), doc.getXmlFragment('x')]
  const { at, length, name } = step
  switch (step.kind) {
    case 0:
      text.insert(safe(text.toString(), at), word(step))
      break
    case 1: {
      const [start, end] = range(text.toString(), at, length)
      if (end > start) text.delete(start, end - start)
      break
    }
    case 2: {
      const [start, end] = range(text.toString(), at, length)
      if (end > start) text.format(start, end - start, { bold: length % 2 === 0 ? true : null })
      break
    }
    case 3:
      map.set(name, length)
      break
    case 4:
      map.delete(name)
      break
    case 5:
      map.set(name, new Y.Map([['inside', at]]))
      break
    case 6: {
      const inner = map.get(name)
      if (inner instanceof Y.Map) inner.set(`k${String(at % 3)}`, length)
      break
    }
    case 7:
      array.insert(at % (array.length + 1), length % 2 === 0 ? [at, at + 1] : [new Y.Map([['n', at]])])
      break
    case 8: {
      const start = at % (array.length + 1)
      const count = Math.min(length, array.length - start)
      if (count > 0) array.delete(start, count)
      break
    }
    case 9: {
      const element = new Y.XmlElement('p')
      element.insert(0, [new Y.XmlText(word(step))])
      xml.insert(at % (xml.length + 1), [element])
      break
    }
    case 10: {
      const inside = (xml.get(at % Math.max(xml.length, 1)) as Y.XmlElement | undefined)?.get(0) as Y.XmlText | undefined
      inside?.insert(safe(plain(inside.toDelta() as never), length * 7), word(step))
      break
    }
    case 11: {
      const inside = (xml.get(at % Math.max(xml.length, 1)) as Y.XmlElement | undefined)?.get(0) as Y.XmlText | undefined
      const [start, end] = range(plain((inside?.toDelta() ?? []) as never), length * 7, 2)
      if (end > start) inside?.delete(start, end - start)
      break
    }
    case 12:
      if (xml.length > 0) xml.delete(at % xml.length, 1)
      break
    default:
      (xml.get(at % Math.max(xml.length, 1)) as Y.XmlElement | undefined)?.setAttribute(name, String(length))
  }
}

/** The same edit in a document of ours. */
function editOurs(doc: Doc, step: Step): void {
  const [text, map, xml] = [doc.text('t'), doc.map('m'), doc.xml('x')]
  const array = doc.array('a') as SharedArray<unknown>
  const { at, length, name } = step
  const element = (): XmlElement | undefined => xml.get(at % Math.max(xml.length, 1)) as XmlElement | undefined
  const inside = (): XmlText | undefined => element()?.get(0) as XmlText | undefined
  switch (step.kind) {
    case 0:
      text.insert(safe(text.toString(), at), word(step))
      break
    case 1: {
      const [start, end] = range(text.toString(), at, length)
      if (end > start) text.delete(start, end - start)
      break
    }
    case 2: {
      const [start, end] = range(text.toString(), at, length)
      if (end > start) text.format(start, end - start, { bold: length % 2 === 0 ? true : null })
      break
    }
    case 3:
      map.set(name, length)
      break
    case 4:
      map.delete(name)
      break
    case 5:
      map.set(name, newMap({ inside: at }) as never)
      break
    case 6: {
      const inner = map.get(name)
      if (typeof inner === 'object') (inner as SharedMap).set(`k${String(at % 3)}`, length)
      break
    }
    case 7: {
      const items: unknown[] = length % 2 === 0 ? [at, at + 1] : [newMap({ n: at })]
      array.insert(at % (array.length + 1), ...items as never[])
      break
    }
    case 8: {
      const start = at % (array.length + 1)
      const count = Math.min(length, array.length - start)
      if (count > 0) array.delete(start, count)
      break
    }
    case 9: {
      const made: New<XmlElement> = newXmlElement('p', {}, [newXmlText(word(step))])
      xml.insert(at % (xml.length + 1), made)
      break
    }
    case 10: {
      const it = inside()
      it?.insert(safe(it.toString(), length * 7), word(step))
      break
    }
    case 11: {
      const it = inside()
      const [start, end] = range(it?.toString() ?? '', length * 7, 2)
      if (end > start) it?.delete(start, end - start)
      break
    }
    case 12:
      if (xml.length > 0) xml.delete(at % xml.length, 1)
      break
    default:
      element()?.setAttribute(name, String(length))
  }
}

/** An index that is not inside a character. */
function safe(text: string, at: number): number {
  const index = at % (text.length + 1)
  return /[\uDC00-\uDFFF]/.test(text.charAt(index)) ? index - 1 : index
}

function range(text: string, at: number, length: number): readonly [number, number] {
  const start = safe(text, at)
  return [start, Math.max(start, safe(text, Math.min(start + length, text.length)))]
}

function plain(delta: readonly { readonly insert: string }[]): string {
  return delta.map(({ insert }) => insert).join('')
}

function ofYjs(doc: Y.Doc): unknown {
  const tree = (node: unknown): unknown => {
    if (node instanceof Y.XmlText) return { delta: node.toDelta() as unknown }
    const { nodeName: name } = node as Y.XmlElement
    const attributes = { ...(node as Y.XmlElement).getAttributes() }
    return { name, attributes, children: (node as Y.XmlElement).toArray().map(tree) }
  }
  return {
    text: doc.getText('t').toDelta() as unknown,
    map: doc.getMap('m').toJSON(),
    array: doc.getArray('a').toJSON(),
    xml: doc.getXmlFragment('x').toArray().map(tree),
  }
}

function ofOurs(doc: Doc): unknown {
  return {
    text: doc.text('t').toDelta(),
    map: doc.map('m').toJSON(),
    array: doc.array('a').toJSON(),
    xml: doc.xml('x').toJSON(),
  }
}

/** Our rule for Yjs: a type in which others have written is not deleted. */
function keepsOthers(doc: Y.Doc): (item: Y.Item) => boolean {
  /** Copies of what others wrote, which undo brought back. */
  const lent = (): Set<string> => {
    const lent = new Set<string>()
    const isForeign = (id: Y.ID): boolean => id.client !== doc.clientID || lent.has(`${String(id.client)}.${String(id.clock)}`)
    for (let count = -1; count !== lent.size;) {
      count = lent.size
      for (const structs of doc.store.clients.values()) {
        for (const item of structs) {
          if (!(item instanceof Y.Item) || item.redone === null || !isForeign(item.id)) continue
          for (let at = 0; at < item.length; at += 1) lent.add(`${String(item.redone.client)}.${String(item.redone.clock + at)}`)
        }
      }
    }
    return lent
  }
  const holds = (type: Y.AbstractType<unknown>, others: Set<string>): boolean => {
    const items = [...(type as unknown as { _map: Map<string, Y.Item> })._map.values()]
    for (let item = type._start; item !== null; item = item.right) items.push(item)
    return items.some(item => {
      if (item.deleted) return false
      if (item.content instanceof Y.ContentType && holds(item.content.type, others)) return true
      const ids = Array.from({ length: item.length }, (_, at) => `${String(item.id.client)}.${String(item.id.clock + at)}`)
      const isForeign = item.id.client !== doc.clientID || ids.some(id => others.has(id))
      return isForeign && !(item.content instanceof Y.ContentFormat)
    })
  }
  return item => !(item.content instanceof Y.ContentType && holds(item.content.type, lent()))
}

/** Two worlds: in each of them somebody who undoes, and somebody else. */
class Worlds {
  readonly ours: Doc
  readonly #undo: Undo
  readonly #oursPeer = new Y.Doc()
  readonly yjs: Y.Doc = new Y.Doc()
  readonly #yjsUndo: Y.UndoManager
  readonly #yjsPeer = new Y.Doc()

  constructor(ours: Doc) {
    this.ours = ours
    const scope = [ours.text('t'), ours.map('m'), ours.array('a'), ours.xml('x')]
    this.#undo = ours.undo({ scope, captureTimeout: 0 })
    this.yjs.clientID = 1000
    const { yjs } = this
    const types = [yjs.getText('t'), yjs.getMap('m'), yjs.getArray('a'), yjs.getXmlFragment('x')]
    const deleteFilter = keepsOthers(yjs)
    this.#yjsUndo = new Y.UndoManager(types as never, { captureTimeout: 0, deleteFilter })
    // The same order of client ids in both worlds.
    for (const peer of [this.#oursPeer, this.#yjsPeer]) peer.clientID = 0xffff_ffff
  }

  edit(steps: readonly Step[]): void {
    this.ours.transact(() => {
      for (const step of steps) editOurs(this.ours, step)
    })
    this.yjs.transact(() => {
      for (const step of steps) editYjs(this.yjs, step)
    })
  }

  editElsewhere(step: Step): void {
    editYjs(this.#oursPeer, step)
    editYjs(this.#yjsPeer, step)
  }

  meet(): void {
    const [ours, yjs] = [this.#oursPeer, this.#yjsPeer]
    const state = this.ours.encodeDifference(Y.encodeStateVector(ours))
    this.ours.applyUpdate(Y.encodeStateAsUpdate(ours, this.ours.encodeStateVector()), 'elsewhere')
    Y.applyUpdate(ours, state)
    const other = Y.encodeStateAsUpdate(this.yjs)
    Y.applyUpdate(this.yjs, Y.encodeStateAsUpdate(yjs), 'elsewhere')
    Y.applyUpdate(yjs, other)
  }

  undo(): void {
    this.#undo.undo()
    this.#yjsUndo.undo()
  }

  redo(): void {
    this.#undo.redo()
    this.#yjsUndo.redo()
  }

  check(what: string): void {
    const mirror = new Y.Doc()
    Y.applyUpdate(mirror, this.ours.encodeState())
    assert.deepEqual(ofYjs(mirror), ofOurs(this.ours), `${what}: the state`)
    mirror.destroy()
    assert.deepEqual(ofOurs(this.ours), ofYjs(this.yjs), what)
    assert.deepEqual([this.#undo.canUndo, this.#undo.canRedo], [this.#yjsUndo.canUndo(), this.#yjsUndo.canRedo()], what)
  }

  destroy(): void {
    for (const doc of [this.#oursPeer, this.yjs, this.#yjsPeer]) doc.destroy()
  }
}

function step(random: Random): Step {
  const kind = [0, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 2][random.below(14)] ?? 0
  return { kind, at: random.below(30), length: 1 + random.below(4), name: `k${String(random.below(3))}` }
}

/** One history; `told` is what happened so far. */
async function play(worlds: Worlds, seed: number, isAlone: boolean, told: string[]): Promise<void> {
  const random = new Random(seed)
  for (let count = 0; count < STEPS; count += 1) {
    const choice = random.below(10)
    if (choice < 4) {
      const steps = Array.from({ length: 1 + random.below(2) }, () => step(random))
      told.push(`edit ${JSON.stringify(steps)}`)
      worlds.edit(steps)
    } else if (choice < 6 && !isAlone) {
      const one = step(random)
      told.push(`elsewhere ${JSON.stringify(one)}`)
      worlds.meet()
      worlds.editElsewhere(one)
      worlds.meet()
    } else if (choice < 8) {
      told.push('undo')
      worlds.undo()
    } else if (choice < 9) {
      told.push('redo')
      worlds.redo()
    } else if (!isAlone) {
      told.push('meet')
      worlds.meet()
    }
    await turn()
    worlds.check(`history ${String(seed)}, step ${String(count)}`)
  }
}

async function histories(t: TestContext, isAlone: boolean): Promise<void> {
  const failures: string[] = []
  for (let seed = FIRST; seed < FIRST + HISTORIES; seed += 1) {
    if (OTHER_IN_YJS[isAlone ? 'alone' : 'together'].includes(seed)) continue
    const { doc } = await open(t)
    const worlds = new Worlds(doc)
    const told: string[] = []
    try {
      await play(worlds, seed, isAlone, told)
    } catch (error) {
      failures.push(`${(error as Error).message}\n${told.join('\n')}`)
    }
    worlds.destroy()
  }
  assert.equal(failures.length, 0, `${String(failures.length)} differ\n${failures.slice(0, 2).join('\n\n')}`)
}

test('undo and redo do what those of Yjs do', t => histories(t, true))

test('the same with somebody else, and with the same rule for what others wrote', t => histories(t, false))
