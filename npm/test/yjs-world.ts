// What the tests of `coweave/yjs` share: Y.Docs, what is in them, and random edits of all their types.

import type { TestContext } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import type { Room } from 'coweave'
import { type YjsBinding, bindYjs } from 'coweave/yjs'
import { WebSocket } from 'ws'
import { WebsocketProvider } from 'y-websocket'
import * as Y from 'yjs'
import type { Relay } from './world.js'
import { open, until } from './world.js'

/** A bound Y.Doc in a client of its own. */
export async function bind(t: TestContext, url?: string, doc: Y.Doc = new Y.Doc()): Promise<YjsBinding> {
  const binding = bindYjs(await open(t, url), doc)
  t.after(() => {
    binding.dispose()
    doc.destroy()
  })
  return binding
}

/** A Y.Doc with the provider that most apps of Yjs have. */
export async function openOutside(t: TestContext, relay: Relay): Promise<WebsocketProvider> {
  const doc = new Y.Doc()
  const provider = new WebsocketProvider(relay.url, 'room', doc, {
    WebSocketPolyfill: WebSocket as unknown as typeof globalThis.WebSocket,
    disableBc: true,
  })
  t.after(() => {
    provider.destroy()
    doc.destroy()
  })
  await until('the outside client is synced', () => provider.synced)
  return provider
}

/** Everything in a Y.Doc that the random edits touch. */
export function contentOf(doc: Y.Doc): unknown {
  return {
    text: doc.getText('text').toDelta() as unknown,
    map: doc.getMap('map').toJSON(),
    array: doc.getArray('array').toJSON(),
    xml: doc.getXmlFragment('xml').toString(),
  }
}

export function isEqual(...docs: readonly Y.Doc[]): boolean {
  const [first, ...others] = docs.map(contentOf)
  return others.every(other => isDeepStrictEqual(first, other))
}

/** Numbers that are the same in each run. */
export class Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed
  }

  below(limit: number): number {
    this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor(this.#state / 2 ** 32 * limit)
  }

  of<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)] as T
  }
}

const words = ['a', 'word', 'a longer one', '😀', 'x😀y', '\n']

const formats = [true, null, 'red', '"\\\n\t', -70, 1.5, { href: '/', list: [1, { none: null }] }]
const values: readonly (() => unknown)[] = [
  () => 1, () => -70, () => 3e9, () => 0.1, () => '"\\\u0000', () => null, () => false, () => ({ deep: { er: true, none: undefined } }),
  () => Uint8Array.of(0, 255), () => new Y.Array(), () => Y.Array.from(['in', ['a', 'list']]), () => new Y.Text('in a map'),
]

/** The index itself, or the one behind the character that it cuts. */
function whole(text: Y.Text, index: number): number {
  const parts = text.toDelta() as readonly { readonly insert: unknown }[]
  const units = parts.map(({ insert }) => typeof insert === 'string' ? insert : '-').join('')
  const before = units.charCodeAt(index - 1)
  return before >= 0xd800 && before < 0xdc00 ? index + 1 : index
}

/**
 * One edit of any kind, at any place. Some insert into a character of two halves, or delete one of
 * them; none formats one: Yjs breaks it then without telling anybody.
 */
export function editSomething(doc: Y.Doc, random: Random): void {
  const text = doc.getText('text')
  const array = doc.getArray<unknown>('array')
  const map = doc.getMap<unknown>('map')
  const xml = doc.getXmlFragment('xml')
  const at = random.below(text.length + 1)
  const length = Math.min(random.below(4), text.length - at)
  const edits: readonly (() => void)[] = [
    () => { text.insert(at, random.of(words)) },
    () => { text.insert(at, random.of(words), { bold: true }) },
    () => { text.insertEmbed(at, { image: random.below(9) }) },
    () => { text.delete(at, length) },
    () => {
      const start = whole(text, at)
      text.format(start, whole(text, at + length) - start, { [random.of(['bold', 'color'])]: random.of(formats) })
    },
    () => { array.insert(random.below(array.length + 1), [random.below(99), random.of(words), { nested: [null, 1.5] }]) },
    () => { array.insert(0, [new Y.Map([['key', random.below(9)]])]) },
    () => { if (array.length > 2) array.delete(random.below(array.length - 2), 2) },
    () => { map.set(random.of(['a', 'b']), random.of(values)()) },
    () => { map.delete(random.of(['a', 'b'])) },
    () => {
      const element = new Y.XmlElement(random.of(['p', 'h1']))
      element.setAttribute('level', String(random.below(3)))
      element.insert(0, [new Y.XmlText(random.of(words))])
      xml.insert(random.below(xml.length + 1), [element])
    },
    () => { if (xml.length > 1) xml.delete(random.below(xml.length), 1) },
    () => {
      const inner = xml.length > 0 ? (xml.get(0) as Y.XmlElement).get(0) : undefined
      if (inner instanceof Y.XmlText) inner.insert(random.below(inner.length + 1), random.of(words))
    },
  ]
  random.of(edits)()
}

/** One edit by the room's own document, beside the Y.Doc. */
export function editRoom({ doc }: Room<object>, random: Random): void {
  const [text, array, map] = [doc.text('text'), doc.array('array'), doc.map('map')]
  const edits: readonly (() => void)[] = [
    () => { text.insert(0, random.of(words)) },
    () => { text.insert(text.length, random.of(words)) },
    () => { array.insert(random.below(array.length + 1), [random.below(9), { nested: [null] }]) },
    () => { map.set(random.of(['a', 'b']), random.below(9)) },
    () => {
      doc.transact(() => {
        text.insert(0, 'both ')
        map.set('both', random.below(9))
      })
    },
  ]
  random.of(edits)()
}
