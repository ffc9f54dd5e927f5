// The state of a document as updates, beside Yjs.

import assert from 'node:assert/strict'
import test from 'node:test'
import type { Doc, Room, UpdateInfo } from 'coweave'
import * as Y from 'yjs'
import { Traps } from './trap.js'
import { NOWHERE, Relay, client, needsRelay, open, turn, until } from './world.js'

/** A Y.Doc that is told of everything, and what it was told beside. */
function follow(doc: Doc): { readonly mirror: Y.Doc; readonly infos: UpdateInfo[] } {
  const mirror = new Y.Doc()
  const infos: UpdateInfo[] = []
  Y.applyUpdate(mirror, doc.encodeState())
  doc.on('update', (update, info) => {
    infos.push(info)
    Y.applyUpdate(mirror, update)
  })
  return { mirror, infos }
}

function textOf(doc: Y.Doc): string {
  return doc.getText('body').toJSON()
}

test('a document and a Yjs document read what the other one writes', async t => {
  const { doc } = await open(t)
  doc.text('body').insert(0, 'ours 😀')
  const yjs = new Y.Doc()
  Y.applyUpdate(yjs, doc.encodeState())
  assert.equal(textOf(yjs), 'ours 😀')
  assert.deepEqual(doc.encodeStateVector(), Y.encodeStateVector(yjs))
  yjs.getText('body').insert(7, ', theirs')
  yjs.getText('body').delete(0, 2)
  yjs.getMap('meta').set('title', { deep: [1, null, 'x'] })
  doc.applyUpdate(Y.encodeStateAsUpdate(yjs, doc.encodeStateVector()))
  assert.equal(doc.text('body').toString(), 'rs 😀, theirs')
  doc.text('body').insert(0, 'ou')
  Y.applyUpdate(yjs, doc.encodeDifference(Y.encodeStateVector(yjs)))
  assert.equal(textOf(yjs), 'ours 😀, theirs')
  const again = new Y.Doc()
  Y.applyUpdate(again, doc.encodeState())
  assert.deepEqual(again.getMap('meta').toJSON(), { title: { deep: [1, null, 'x'] } })
})

test('listeners get every update once, in order, with its origin, after the call', async t => {
  const { doc } = await open(t)
  doc.text('body').insert(0, 'before')
  const { mirror, infos } = follow(doc)
  const other = new Y.Doc()
  other.getText('body').insert(0, 'brought ')
  const origin = { name: 'an import' }
  doc.applyUpdate(Y.encodeStateAsUpdate(other), origin)
  doc.text('body').insert(0, 'typed ')
  assert.equal(infos.length, 0)
  await turn()
  assert.deepEqual(infos, [{ origin, local: true }, { origin: undefined, local: true }])
  assert.equal(infos[0]?.origin, origin)
  doc.transact(() => {
    doc.text('body').insert(0, 'in a ')
    doc.applyUpdate(Y.encodeStateAsUpdate(other), 'nothing new')
    doc.map('meta').set('key', 'transaction')
  }, origin)
  await turn()
  assert.deepEqual(infos.splice(2), [{ origin, local: true }])
  assert.equal(textOf(mirror), doc.text('body').toString())
  other.getMap('map').set('key', 'from elsewhere')
  doc.transact(() => {
    doc.text('body').insert(0, 'before ')
    doc.applyUpdate(Y.encodeStateAsUpdate(other), 'another')
    doc.text('body').insert(0, 'and ')
    doc.transact(() => { doc.text('body').insert(0, 'behind ') })
  }, origin)
  await turn()
  assert.deepEqual(infos.splice(2).map(it => it.origin), [origin, 'another', origin])
  assert.deepEqual([textOf(mirror), mirror.getMap('map').toJSON()], [doc.text('body').toString(), { key: 'from elsewhere' }])
  // What is here already is no news.
  doc.applyUpdate(Y.encodeStateAsUpdate(other), origin)
  await turn()
  assert.equal(infos.length, 2)
})

test('a listener hears nothing from before it came, nor after it went', async t => {
  const { doc } = await open(t)
  const first = doc.on('update', () => undefined)
  doc.text('body').insert(0, 'a')
  let count = 0
  const second = doc.on('update', () => (count += 1))
  doc.text('body').insert(1, 'b')
  await turn()
  assert.equal(count, 1)
  doc.text('body').insert(1, 'c')
  second.dispose()
  first.dispose()
  await turn()
  assert.equal(count, 1)
})

test('what cannot be brought throws, and changes nothing', async t => {
  const { doc } = await open(t)
  doc.text('body').insert(0, 'as before')
  const state = doc.encodeState()
  const other = new Y.Doc()
  other.getText('body').insert(0, 'first')
  const known = Y.encodeStateVector(other)
  other.getText('body').insert(5, ', second')
  const code = (expected: string) => ({ name: 'CoweaveError', code: expected })
  const apply = (update: unknown) => (): void => {
    doc.applyUpdate(update as Uint8Array)
  }
  assert.throws(apply(Y.encodeStateAsUpdate(other, known)), code('update.missing_dependencies'))
  assert.throws(apply(Uint8Array.of(1, 2, 3)), code('update.malformed'))
  assert.throws(apply(Y.encodeStateAsUpdateV2(other)), { code: 'update.malformed', message: /applyUpdateV2/ })
  const converted = Y.convertUpdateFormatV2ToV1(Y.encodeStateAsUpdateV2(other, known))
  assert.throws(apply(converted), code('update.missing_dependencies'))
  assert.throws(apply([0, 0]), code('api.wrong_type'))
  assert.throws(() => doc.encodeDifference(Uint8Array.of(200)), code('update.malformed'))
  assert.throws(() => doc.encodeDifference('0' as unknown as Uint8Array), code('api.wrong_type'))
  assert.throws(() => doc.on('updates' as 'update', () => undefined), code('api.wrong_type'))
  assert.throws(() => doc.on('update', 5 as unknown as () => void), code('api.wrong_type'))
  assert.deepEqual(doc.encodeState(), state)
  const unloaded = client(t, NOWHERE).room('unloaded')
  assert.throws(() => unloaded.doc.encodeState(), code('api.not_ready'))
  unloaded.dispose()
  assert.throws(() => unloaded.doc.encodeState(), code('api.disposed'))
})

test('an update that was brought is durable like any other edit', needsRelay, async t => {
  const relay = await Relay.start(t)
  const ana = await open(t, relay.url)
  const ben = await open(t, relay.url)
  const { mirror, infos } = follow(ben.doc)
  // Larger than the relay takes at once, and by two authors.
  const imported = new Y.Doc()
  const second = new Y.Doc()
  imported.getText('body').insert(0, 'x'.repeat(9_000_000))
  second.getText('body').insert(0, 'the second author. ')
  Y.applyUpdate(imported, Y.encodeStateAsUpdate(second))
  ana.doc.applyUpdate(Y.encodeStateAsUpdate(imported))
  await ana.flush()
  assert.deepEqual(ana.saved, { tier: 'durable', pending: 0 })
  await until('it arrives', () => ben.doc.text('body').length === imported.getText('body').length)
  await turn()
  assert.equal(textOf(mirror), textOf(imported))
  assert.ok(infos.every(({ local, origin }) => !local && origin === undefined))
})

test('a trap loses no update, and brings none twice', needsRelay, async t => {
  const relay = await Relay.start(t)
  const traps = Traps.set(t)
  const ana = await open(t, relay.url)
  const ben = await open(t, relay.url)
  await ana.synced
  await ben.synced
  const body = ana.doc.text('body')
  const counts = new Map<string, number>()
  ana.doc.on('update', update => {
    for (const { content } of Y.decodeUpdate(update).structs as readonly { content?: { str?: string } }[]) {
      const text = content?.str ?? ''
      counts.set(text, (counts.get(text) ?? 0) + 1)
    }
  })
  const { mirror } = follow(ana.doc)
  body.insert(0, 'told. ')
  await turn()
  body.insert(0, 'untold. ')
  traps.inside = 'edited'
  assert.throws(() => {
    body.insert(0, 'lost. ')
  }, { code: 'client.internal' })
  body.insert(0, 'after. ')
  ben.doc.text('body').insert(0, 'from Ben. ')
  await ana.flush()
  await until('both are equal', () => body.length === 31 && body.toString() === ben.doc.text('body').toString())
  await turn()
  assert.equal(textOf(mirror), body.toString())
  assert.deepEqual(counts, new Map([['told. ', 1], ['untold. ', 1], ['after. ', 1], ['from Ben. ', 1]]))
})

test('after a document was set aside, the first update is the one in its place', needsRelay, async t => {
  const relay = await Relay.start(t)
  const ana = await open(t, relay.url)
  await ana.synced
  ana.doc.text('body').insert(0, 'of the first history')
  await ana.flush()
  const order: string[] = []
  ana.doc.on('update', update => {
    const doc = new Y.Doc()
    Y.applyUpdate(doc, update)
    if (textOf(doc) !== '') order.push(textOf(doc))
  })
  ana.on('set-aside', ({ texts }) => order.push(`aside: ${texts['body'] ?? ''}`))
  await relay.stop()
  await until('the relay is missed', () => ana.status.state === 'offline')
  await relay.loseData()
  const ben: Room = await open(t, relay.url)
  await ben.synced
  ben.doc.text('body').insert(0, 'of the second')
  await ben.flush()
  await until('it is set aside', () => order.length >= 2)
  assert.deepEqual(order, ['aside: of the first history', 'of the second'])
})
