// Snapshots, documents of the past, and updates in version 2, beside Yjs.

import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import type { Doc, PastDoc, Room } from 'coweave'
import * as Y from 'yjs'
import { Traps } from './trap.js'
import { NOWHERE, client, open, turn } from './world.js'
import { Random, contentOf, editSomething } from './yjs-world.js'

const HISTORIES = Number(process.env['COWEAVE_HISTORIES'] ?? 60)
const EDITS = 60

function code(expected: string): object {
  return { name: 'CoweaveError', code: expected }
}

/** What `contentOf` finds in a Y.Doc. */
function contentOfOurs(doc: Doc | PastDoc): unknown {
  return {
    text: doc.text('text').toDelta(),
    map: doc.map('map').toJSON(),
    array: doc.array('array').toJSON(),
    xml: doc.xml('xml').toString(),
  }
}

/** A document that two people wrote; `each` is called after each edit of the first one. */
function randomYjs(seed: number, gc: boolean, each: (doc: Y.Doc) => void = () => undefined): Y.Doc {
  const random = new Random(seed)
  const docs: readonly [Y.Doc, Y.Doc] = [new Y.Doc({ gc }), new Y.Doc({ gc })]
  for (let edit = 0; edit < EDITS; edit += 1) {
    const [one, other] = random.below(2) === 0 ? docs : [docs[1], docs[0]]
    editSomething(one, random)
    if (random.below(4) === 0) Y.applyUpdate(other, Y.encodeStateAsUpdate(one, Y.encodeStateVector(other)))
    if (random.below(4) === 0) Y.applyUpdate(one, Y.encodeStateAsUpdate(other, Y.encodeStateVector(one)))
    each(docs[0])
  }
  Y.applyUpdate(docs[0], Y.encodeStateAsUpdate(docs[1]))
  return docs[0]
}

/** Opens rooms of one client. */
function rooms(t: TestContext): () => Promise<Room> {
  const own = client(t, NOWHERE)
  let count = 0
  return async () => {
    count += 1
    const opened = own.room(`room ${String(count)}`)
    await opened.loaded
    return opened
  }
}

/** The updates that are sent on. */
function told(doc: Doc): Uint8Array[] {
  const updates: Uint8Array[] = []
  doc.on('update', update => updates.push(update))
  return updates
}

test('snapshots are those of Yjs, byte by byte', async t => {
  const next = rooms(t)
  const { doc } = await next()
  for (let seed = 1; seed <= HISTORIES; seed += 1) {
    const room = await next()
    const yjs = randomYjs(seed, seed % 2 === 0)
    room.doc.applyUpdate(Y.encodeStateAsUpdate(yjs))
    const snapshot = room.doc.snapshot()
    const theirs = Y.snapshot(yjs)
    assert.deepEqual(snapshot, Y.encodeSnapshot(theirs), `seed ${String(seed)}`)
    assert.ok(Y.equalSnapshots(Y.decodeSnapshot(snapshot), theirs))
    assert.ok(room.doc.equals(Y.encodeSnapshot(theirs)))
    room.dispose()
  }
  assert.deepEqual(doc.snapshot(), Y.encodeSnapshot(Y.emptySnapshot))
})

test('a document of the past is what Yjs makes of the snapshot', async t => {
  const next = rooms(t)
  for (let seed = 1; seed <= HISTORIES; seed += 1) {
    let count = 0
    const room = await next()
    const snapshots: Uint8Array[] = []
    const yjs = randomYjs(seed, false, doc => {
      count += 1
      if (count % 8 === 0) snapshots.push(Y.encodeSnapshot(Y.snapshot(doc)))
    })
    const state = Y.encodeStateAsUpdate(yjs)
    for (const snapshot of snapshots) {
      const then = Y.createDocFromSnapshot(yjs, Y.decodeSnapshot(snapshot))
      const past = room.doc.at(snapshot, state)
      assert.deepEqual(contentOfOurs(past), contentOf(then), `seed ${String(seed)}`)
      // It can be taken back with it.
      const again = new Y.Doc()
      Y.applyUpdate(again, past.encodeState())
      assert.deepEqual(Y.encodeSnapshot(Y.snapshot(again)), snapshot)
      past.dispose()
    }
    room.dispose()
  }
})

test('of a room, what came since can be left out, and what was deleted since has to be handed in', async t => {
  const { doc } = await open(t)
  const [body, meta] = [doc.text('body'), doc.map('meta')]
  body.insert(0, 'first')
  meta.set('title', 'One')
  const [snapshot, state] = [doc.snapshot(), doc.encodeState()]
  body.insert(5, ', second')
  const past = doc.at(snapshot)
  assert.deepEqual(past.toJSON(), { body: 'first', meta: { title: 'One' } })
  assert.deepEqual(doc.toJSON(), { body: 'first, second', meta: { title: 'One' } })
  // An entry that is replaced is one that is deleted.
  meta.set('title', 'Two')
  assert.throws(() => doc.at(snapshot), code('snapshot.collected'))
  assert.deepEqual(past.toJSON(), { body: 'first', meta: { title: 'One' } })
  assert.deepEqual(doc.at(snapshot, state).toJSON(), { body: 'first', meta: { title: 'One' } })
  body.delete(0, body.length)
  assert.throws(() => doc.at(snapshot), code('snapshot.collected'))
  assert.equal(doc.at(doc.snapshot()).text('body').toString(), '')
})

test('a document of the past is read like any other, and not written', async t => {
  const { doc } = await open(t)
  doc.text('body').insert(0, 'as it was')
  doc.map('meta').set('tags', [1])
  const past = doc.at(doc.snapshot())
  const body = past.text('body')
  doc.text('body').delete(0, 3)
  assert.equal(past.text('body'), body)
  assert.notEqual(past.text('body'), doc.text('body'))
  assert.equal(body.resolve(body.position(3)), 3)
  assert.throws(() => {
    body.insert(0, 'x')
  }, code('room.read_only'))
  assert.throws(() => {
    past.map('meta').set('tags', [])
  }, code('room.read_only'))
  assert.throws(() => past.map('body'), code('api.wrong_type'))
  assert.throws(() => doc.undo({ scope: body }), code('api.wrong_type'))
  let count = 0
  const subscription = body.subscribe(() => (count += 1))
  await turn()
  subscription.dispose()
  assert.equal(count, 0)
  assert.equal(body.toString(), 'as it was')
  assert.deepEqual(past.snapshot(), doc.at(past.snapshot(), past.encodeState()).snapshot())
  past.dispose()
  past.dispose()
  assert.throws(() => body.toString(), code('api.disposed'))
  assert.throws(() => past.encodeState(), code('api.disposed'))
})

test('a document of the past ends with its room, and outlives a trap', async t => {
  const traps = Traps.set(t)
  const room: Room = await open(t)
  room.doc.text('body').insert(0, 'as it was')
  const past = room.doc.at(room.doc.snapshot())
  room.doc.text('body').delete(0, 3)
  traps.inside = 'edited'
  assert.throws(() => {
    room.doc.text('body').insert(0, 'lost')
  }, code('client.internal'))
  assert.equal(past.text('body').toString(), 'as it was')
  room.dispose()
  assert.throws(() => past.text('body').toString(), code('api.disposed'))
})

test('what is no snapshot of the document is refused, and changes nothing', async t => {
  const { doc } = await open(t)
  doc.text('body').insert(0, 'here')
  const snapshot = doc.snapshot()
  const other = new Y.Doc({ gc: false })
  other.getText('body').insert(0, 'elsewhere')
  const theirs = Y.encodeSnapshot(Y.snapshot(other))
  assert.throws(() => doc.at(theirs), code('update.missing_dependencies'))
  assert.throws(() => doc.at(snapshot, Y.encodeStateAsUpdate(other)), code('update.missing_dependencies'))
  assert.throws(() => doc.at(Uint8Array.of(1, 2)), code('update.malformed'))
  assert.throws(() => doc.at(Uint8Array.of(255, 255, 255, 255, 15, 0)), code('update.malformed'))
  assert.throws(() => doc.at(snapshot, Uint8Array.of(1)), code('update.malformed'))
  assert.throws(() => doc.at('x' as unknown as Uint8Array), code('api.wrong_type'))
  assert.throws(() => doc.at(snapshot, 'x' as unknown as Uint8Array), code('api.wrong_type'))
  assert.throws(() => doc.equals(Uint8Array.of(9)), code('update.malformed'))
  assert.throws(() => doc.equals(null as unknown as Doc), code('api.wrong_type'))
  // Deleted is what was never written.
  assert.throws(() => doc.at(Uint8Array.of(1, 5, 1, 0, 1, 0)), code('update.missing_dependencies'))
  assert.deepEqual(doc.snapshot(), snapshot)
})

test('documents are equal as long as they have the same edits', async t => {
  const one = await open(t)
  const other = await open(t)
  assert.ok(one.doc.equals(other.doc))
  one.doc.text('body').insert(0, 'the same')
  assert.ok(!one.doc.equals(other.doc) && !other.doc.equals(one.doc))
  other.doc.applyUpdate(one.doc.encodeState())
  assert.ok(one.doc.equals(other.doc) && other.doc.equals(one.doc) && one.doc.equals(one.doc))
  const past = one.doc.at(one.doc.snapshot())
  one.doc.text('body').delete(0, 1)
  assert.ok(!one.doc.equals(other.doc) && other.doc.equals(past) && !one.doc.equals(past))
})

test('a whole document is its parts that were asked for', async t => {
  const { doc } = await open(t)
  assert.deepEqual(doc.toJSON(), {})
  const yjs = new Y.Doc()
  yjs.getMap('map').set('a', 1)
  yjs.getText('unasked').insert(0, 'x')
  doc.applyUpdate(Y.encodeStateAsUpdate(yjs))
  doc.map('map').set('b', [2])
  doc.array('__proto__').push(3)
  doc.xml('empty')
  const expected = { map: { a: 1, b: [2] }, empty: [] }
  Object.defineProperty(expected, '__proto__', { value: [3], enumerable: true, configurable: true, writable: true })
  assert.deepEqual(doc.toJSON(), expected)
  assert.equal(JSON.stringify(doc), '{"map":{"a":1,"b":[2]},"__proto__":[3],"empty":[]}')
})

test('an update in version 2 brings what it brings in version 1', async t => {
  const next = rooms(t)
  for (let seed = 1; seed <= HISTORIES; seed += 1) {
    const [one, other] = [await next(), await next()]
    const yjs = randomYjs(seed, seed % 2 === 0)
    const update = Y.encodeStateAsUpdateV2(yjs)
    const news = [told(one.doc), told(other.doc)]
    one.doc.applyUpdate(Y.encodeStateAsUpdate(yjs), 'an origin')
    other.doc.applyUpdateV2(update, 'an origin')
    assert.deepEqual(contentOfOurs(other.doc), contentOfOurs(one.doc), `seed ${String(seed)}`)
    assert.deepEqual(contentOfOurs(other.doc), contentOf(yjs), `seed ${String(seed)}`)
    await turn()
    assert.deepEqual(news[0], news[1], `seed ${String(seed)}`)
    one.dispose()
    other.dispose()
  }
})

test('updates in version 2 can be brought one by one, as a difference, merged, and without anything inside', async t => {
  const next = rooms(t)
  for (let seed = 1; seed <= 10; seed += 1) {
    const random = new Random(seed)
    const yjs = new Y.Doc()
    const updates: Uint8Array[] = []
    yjs.on('updateV2', (update: Uint8Array) => updates.push(update))
    const [one, other, late] = [await next(), await next(), await next()]
    for (let edit = 0; edit < EDITS; edit += 1) editSomething(yjs, random)
    for (const update of updates) one.doc.applyUpdateV2(update)
    const half = updates.slice(0, updates.length / 2)
    other.doc.applyUpdateV2(Y.mergeUpdatesV2(half))
    late.doc.applyUpdateV2(Y.mergeUpdatesV2(half))
    other.doc.applyUpdateV2(Y.diffUpdateV2(Y.mergeUpdatesV2(updates), other.doc.encodeStateVector()))
    late.doc.applyUpdateV2(Y.encodeStateAsUpdateV2(yjs, late.doc.encodeStateVector()))
    for (const { doc } of [one, other, late]) {
      doc.applyUpdateV2(Y.encodeStateAsUpdateV2(new Y.Doc()))
      assert.deepEqual(contentOfOurs(doc), contentOf(yjs), `seed ${String(seed)}`)
      assert.ok(doc.equals(Y.encodeSnapshot(Y.snapshot(yjs))))
    }
  }
})

test('what is no update in version 2 is refused, and changes nothing', async t => {
  const { doc } = await open(t)
  const yjs = randomYjs(1, true)
  const update = Y.encodeStateAsUpdateV2(yjs)
  for (let length = 0; length < update.length; length += 1) {
    assert.throws(() => {
      doc.applyUpdateV2(update.slice(0, length))
    }, code('update.malformed'), String(length))
  }
  assert.throws(() => {
    doc.applyUpdateV2(Y.encodeStateAsUpdate(yjs))
  }, code('update.malformed'))
  const late = new Y.Doc()
  late.getText('text').insert(0, 'early')
  const known = Y.encodeStateVector(late)
  late.getText('text').insert(5, ', late')
  assert.throws(() => {
    doc.applyUpdateV2(Y.encodeStateAsUpdateV2(late, known))
  }, code('update.missing_dependencies'))
  assert.throws(() => {
    doc.applyUpdateV2([] as unknown as Uint8Array)
  }, code('api.wrong_type'))
  assert.deepEqual(doc.snapshot(), Uint8Array.of(0, 0))
})
