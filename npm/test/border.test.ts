// What goes over the border of the module, and over the wire: no more often for a large change than for a small one.

import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import { type DeepChange, type Doc, type Room, newMap, newXmlElement } from 'coweave'
import * as Y from 'yjs'
import { NOWHERE, Relay, client, needsRelay, open, tappedSocket, turn, until } from './world.js'

type Callable = (...values: readonly unknown[]) => unknown

/** The calls into instances that are made from here on, and out of them: their names, in order. */
function watchBorder(t: TestContext): string[] {
  const calls: string[] = []
  const watched = (functions: object, way: string): object =>
    Object.fromEntries(Object.entries(functions).map(([name, value]: [string, unknown]) => [
      name,
      typeof value === 'function'
        ? (...values: readonly unknown[]) => {
          calls.push(`${way} ${name}`)
          return (value as Callable)(...values)
        }
        : value,
    ]))
  const real = WebAssembly.Instance
  WebAssembly.Instance = new Proxy(real, {
    construct: (_, [module, imports]: [WebAssembly.Module, WebAssembly.Imports]) => {
      const out = Object.entries(imports).map(([name, functions]) => [name, watched(functions, 'out')])
      const { exports } = new real(module, Object.fromEntries(out) as WebAssembly.Imports)
      return { exports: watched(exports, 'in') }
    },
  })
  t.after(() => {
    WebAssembly.Instance = real
  })
  return calls
}

/** A socket that stays as it is, so that nothing happens but what a test does. */
class SilentSocket {
  close(): void {
    // There is nothing to close.
  }
}

/** One transaction that makes so many elements, from a number on, in types of all kinds in turn. */
function change(doc: Doc, from: number, count: number): void {
  const kinds: readonly ((id: number) => void)[] = [
    id => { doc.text('text').insert(0, 'x', { id }) },
    id => { doc.map('map').set(`key ${String(id)}`, newMap({ id })) },
    id => { doc.array('array').push(newMap({ id })) },
    id => { doc.xml('tree').push(newXmlElement('p', { id })) },
  ]
  doc.transact(() => {
    for (let id = from; id < from + count; id += 1) kinds[id % kinds.length]?.(id)
  })
}

/** How many elements a change says are new. */
function sizeOf({ delta, keys }: DeepChange): number {
  const inserts = delta.map(step => 'insert' in step ? step.insert : [])
  return inserts.reduce<number>((sum, it) => sum + (Array.isArray(it) || typeof it === 'string' ? it.length : 1), keys.size)
}

/** Has types of all kinds observed in all ways; `told` is called with how many elements were told so far. */
function observe({ doc }: Room, told: (elements: number) => void): void {
  let elements = 0
  for (const part of [doc.text('text'), doc.map('map'), doc.array('array'), doc.xml('tree')]) {
    part.subscribe(() => undefined)
    part.subscribeDeep(changes => {
      elements += changes.reduce((sum, it) => sum + sizeOf(it), 0)
      told(elements)
    })
  }
  doc.on('update', () => undefined)
}

const LARGE = 2_000

test('a transaction that comes from a relay crosses the border as often for 2,000 elements as for one', needsRelay, async t => {
  const relay = await Relay.start(t)
  const ana = await open(t, relay.url)
  const calls = watchBorder(t)
  const received = (): void => {
    calls.length = 0
  }
  const ben = client(t, relay.url, { webSocket: tappedSocket({ received }) }).room('room')
  await Promise.all([ana.synced, ben.synced])
  let [told, crossed]: [number, string[]] = [0, []]
  observe(ben, elements => {
    told = elements
    crossed = [...calls]
  })
  const crossedFor = async (from: number, count: number): Promise<readonly string[]> => {
    change(ana.doc, from, count)
    await until('it is told', () => told === from + count)
    return crossed
  }
  await crossedFor(0, 1)
  const one = await crossedFor(1, 1)
  assert.deepEqual(await crossedFor(2, LARGE), one)
  assert.equal(one.filter(name => name === 'in client_drain').length, 1)
})

test('a transaction of this document is told with as many calls for 2,000 elements as for one', async t => {
  const calls = watchBorder(t)
  const room = client(t, NOWHERE, { webSocket: SilentSocket }).room('room')
  await room.loaded
  let [told, crossed]: [number, string[]] = [0, []]
  observe(room, elements => {
    told = elements
    crossed = [...calls]
  })
  const theirs = new Y.Doc()
  const edits: Readonly<Record<string, (from: number, count: number) => void>> = {
    // All that crosses the border counts for what comes as bytes, and for an own edit what comes after the calls.
    'as bytes': (from, count) => {
      const before = Y.encodeStateVector(theirs)
      theirs.transact(() => {
        for (let id = from; id < from + count; id += 1) theirs.getArray('array').push([new Y.Map([['id', id]])])
      })
      const update = Y.encodeStateAsUpdate(theirs, before)
      calls.length = 0
      room.doc.applyUpdate(update)
    },
    'as calls': (from, count) => {
      change(room.doc, from, count)
      calls.length = 0
    },
  }
  let elements = 0
  for (const [how, edit] of Object.entries(edits)) {
    const crossedFor = async (from: number, count: number): Promise<readonly string[]> => {
      edit(from, count)
      await turn()
      elements += count
      assert.equal(told, elements, how)
      return crossed
    }
    await crossedFor(0, 1)
    const one = await crossedFor(1, 1)
    assert.deepEqual(await crossedFor(2, LARGE), one, how)
    assert.equal(one.filter(name => name === 'in client_drain').length, 1, how)
  }
})

/** The types of the messages in a frame of `coweave.v1`. */
function typesIn(frame: Uint8Array): number[] {
  let at = 0
  const varUint = (): number => {
    let number = 0
    for (let unit = 1; ; unit *= 0x80) {
      const byte = frame[at] ?? assert.fail('a frame ends in the middle')
      at += 1
      number += (byte & 0x7f) * unit
      if (byte < 0x80) return number
    }
  }
  const types: number[] = []
  while (at < frame.length) {
    const [type, , length] = [varUint(), varUint(), varUint()]
    types.push(type)
    at += length
  }
  return types
}

const EDIT = 7

test('41 edits of one tick leave as one frame with one edit, and come to others as one update', needsRelay, async t => {
  const relay = await Relay.start(t)
  const frames: number[][] = []
  const sent = (frame: Uint8Array): void => {
    frames.push(typesIn(new Uint8Array(frame)))
  }
  const ana = client(t, relay.url, { webSocket: tappedSocket({ sent }) }).room('room')
  const ben = await open(t, relay.url)
  await Promise.all([ana.synced, ben.synced])
  let own = 0
  ana.doc.on('update', () => (own += 1))
  const seen: string[] = []
  ben.doc.on('update', () => seen.push('update'))
  ben.doc.text('text').subscribe(() => seen.push('text'))
  ben.doc.map('map').subscribe(() => seen.push('map'))
  const [text, map] = [ana.doc.text('text'), ana.doc.map('map')]
  for (let at = 0; at < 20; at += 1) {
    text.insert(at % 3, 'ab')
    map.set(`key ${String(at % 7)}`, at)
  }
  text.delete(3, 5)
  assert.deepEqual(frames.flat().filter(type => type === EDIT), [])
  await ana.flush()
  await until('it arrives', () => ben.doc.equals(ana.doc))
  await turn()
  const edits = frames.filter(types => types.includes(EDIT))
  assert.deepEqual(edits.flat().filter(type => type === EDIT), [EDIT])
  // Here each of them was a transaction.
  assert.equal(own, 41)
  assert.deepEqual(seen.sort(), ['map', 'text', 'update'])
  map.set('last', 1)
  await Promise.resolve()
  assert.equal(frames.filter(types => types.includes(EDIT)).length, 2)
})
