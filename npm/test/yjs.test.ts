// A Y.Doc in step with a room.

import assert from 'node:assert/strict'
import test from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { Client, CoweaveError } from 'coweave'
import { type YjsBinding, type YjsBindingStatus, bindYjs, yjsProvider } from 'coweave/yjs'
import { Awareness, removeAwarenessStates } from 'y-protocols/awareness'
import * as Y from 'yjs'
import { Traps } from './trap.js'
import { NOWHERE, Relay, client, needsRelay, open, turn, until } from './world.js'
import { Random, bind, contentOf, editRoom, editSomething, isEqual, openOutside } from './yjs-world.js'

/** What a binding says from here on. */
function statusesOf(binding: YjsBinding): YjsBindingStatus[] {
  const statuses: YjsBindingStatus[] = []
  binding.on('status', status => statuses.push(status))
  return statuses
}

/** Who listens to a Y.Doc. */
function observersOf(doc: Y.Doc): ReadonlyMap<string, unknown> {
  return (doc as unknown as { readonly _observers: ReadonlyMap<string, unknown> })._observers
}

/** The room's document is that of the Y.Doc. */
function assertInStep({ room, doc }: YjsBinding): void {
  const copy = new Y.Doc()
  Y.applyUpdate(copy, room.doc.encodeState())
  assert.deepEqual(contentOf(copy), contentOf(doc))
  assert.deepEqual(room.doc.encodeStateVector(), Y.encodeStateVector(doc))
}

test('what is in the Y.Doc and what is in the room comes together', async t => {
  const room = await open(t)
  room.doc.text('text').insert(0, 'in the room')
  const doc = new Y.Doc()
  doc.getMap('map').set('in', 'the Y.Doc')
  const binding = bindYjs(room, doc)
  assert.equal(binding.status.state, 'bound')
  assert.equal(doc.getText('text').toJSON(), 'in the room')
  assertInStep(binding)
  doc.getText('text').insert(0, 'typed ')
  assert.equal(room.doc.text('text').toString(), 'typed in the room')
  room.doc.text('text').delete(0, 6)
  await turn()
  assertInStep(binding)
  binding.dispose()
  doc.destroy()
})

test('a Y.Doc that is bound before the room is loaded is bound when it is', async t => {
  const room = client(t, NOWHERE).room('room')
  const doc = new Y.Doc()
  doc.getText('text').insert(0, 'early')
  const binding = bindYjs(room, doc)
  const statuses = statusesOf(binding)
  assert.equal(binding.status.state, 'opening')
  doc.getText('text').insert(0, 'very ')
  await until('it is bound', () => statuses.length === 1)
  assert.deepEqual(statuses, [{ state: 'bound' }])
  assert.equal(room.doc.text('text').toString(), 'very early')
  binding.dispose()
  doc.destroy()
})

test('two rooms with Y.Docs end equal whatever is edited in them, online and offline', needsRelay, async t => {
  const relay = await Relay.start(t)
  const bindings = [await bind(t, relay.url), await bind(t, relay.url)]
  const docs = bindings.map(({ doc }) => doc)
  for (let seed = 1; seed <= 6; seed += 1) {
    const random = new Random(seed)
    if (seed % 2 === 0) await relay.stop()
    for (let i = 0; i < 80; i += 1) {
      if (random.below(3) === 0) editRoom(random.of(bindings).room, random)
      else editSomething(random.of(docs), random)
      if (random.below(8) === 0) await turn()
    }
    if (seed % 2 === 0) await relay.start()
    await Promise.all(bindings.map(({ room }) => room.flush()))
    await until(`both are equal after seed ${String(seed)}`, () => isEqual(...docs))
    await turn()
    bindings.forEach(assertInStep)
  }
  assert.deepEqual(bindings.map(({ status }) => status.state), ['bound', 'bound'])
})

test('a bound Y.Doc and a plain y-websocket client see the same, and each other', needsRelay, async t => {
  const relay = await Relay.start(t)
  const outside = await openOutside(t, relay)
  const binding = await bind(t, relay.url)
  await binding.room.synced
  const docs = [outside.doc, binding.doc]
  const random = new Random(7)
  for (let i = 0; i < 200; i += 1) {
    editSomething(random.of(docs), random)
    if (random.below(8) === 0) await turn()
  }
  await until('both are equal', () => isEqual(...docs))
  await until('the room, too', () => {
    return Y.equalSnapshots(Y.snapshot(outside.doc), Y.snapshot(binding.doc))
  })
  assertInStep(binding)

  const anchorOf = (doc: Y.Doc): object => Y.createRelativePositionFromTypeIndex(doc.getText('text'), doc.getText('text').length)
  outside.awareness.setLocalStateField('cursor', { anchor: anchorOf(outside.doc) })
  binding.awareness.setLocalStateField('cursor', { anchor: anchorOf(binding.doc) })
  const shown = (awareness: YjsBinding['awareness']): unknown[] => {
    const others = [...awareness.getStates()].filter(([id]) => id !== awareness.clientID)
    return others.map(([, state]) => state).filter(state => 'cursor' in state)
  }
  await until('each sees the other', () => {
    return shown(binding.awareness).length === 1 && shown(outside.awareness).length === 1
  })
  const expected = [{ cursor: { anchor: { type: null, tname: 'text', item: null, assoc: 0 } } }]
  assert.deepEqual(shown(binding.awareness), expected)
  assert.deepEqual(shown(outside.awareness), expected)
  assert.ok(binding.awareness.getStates().has(outside.doc.clientID))
  binding.dispose()
  await until('the caret goes', () => shown(outside.awareness).length === 0)
})

test('states in an awareness change and go as they do in the room', needsRelay, async t => {
  const relay = await Relay.start(t)
  const ana = await bind(t, relay.url)
  const ben = await open(t, relay.url)
  const changes: [string, number][] = []
  ana.awareness.on('change', (change: Readonly<Record<string, readonly number[]>>, origin: unknown) => {
    for (const [kind, ids] of Object.entries(change)) {
      if (origin === ana && ids.length > 0) changes.push([kind, ids.length])
    }
  })
  // An awareness that shows nothing is nobody.
  await ana.room.synced
  assert.equal(ben.presence.peers.length, 0)
  ben.presence.set({ name: 'Ben' })
  await until('Ben is there', () => changes.length === 1)
  ben.presence.set({ name: 'Benedict' })
  await until('his new name', () => changes.length === 2)
  ben.presence.set(null)
  await until('he shows nothing', () => changes.length === 3)
  ben.presence.set({ name: 'Ben' })
  await until('he is back', () => changes.length === 4)
  assert.deepEqual(changes.map(([kind]) => kind), ['added', 'updated', 'removed', 'updated'])
  ana.awareness.setLocalStateField('user', { name: 'Ana' })
  await until('Ana is seen', () => ben.presence.peers.length === 1)
  assert.deepEqual(ben.presence.peers[0]?.state, { user: { name: 'Ana' } })
  ana.awareness.setLocalState(null)
  await until('Ana is not seen', () => ben.presence.peers.length === 0)
  await relay.stop()
  await until('nobody is seen without a connection', () => ana.awareness.getStates().size === 0)
})

test('a peer that does nothing is renewed in an awareness that forgets the silent', needsRelay, async t => {
  t.mock.timers.enable({ apis: ['setInterval'] })
  const relay = await Relay.start(t)
  const ana = await bind(t, relay.url)
  const ben = await open(t, relay.url)
  await ana.room.synced
  ben.presence.set({ name: 'Ben' })
  await until('Ben is there', () => ana.awareness.getStates().size === 2)
  const [id] = [...ana.awareness.getStates().keys()].filter(id => id !== ana.awareness.clientID)
  assert.ok(id !== undefined)
  const renewed: unknown[] = []
  ana.awareness.on('update', ({ updated }: { readonly updated: readonly number[] }) => renewed.push(updated))
  ana.awareness.on('change', () => renewed.push('a change'))
  t.mock.timers.tick(20_000)
  assert.deepEqual(renewed, [[id], [id]])
  // In a hidden page, the awareness may look before that.
  removeAwarenessStates(ana.awareness, [id], 'timeout')
  assert.deepEqual(ana.awareness.getStates().get(id), { name: 'Ben' })
})

test('what only waited in the Y.Doc comes into the room with what it waited for', async t => {
  const author = new Y.Doc()
  author.getText('text').insert(0, 'first')
  const first = Y.encodeStateAsUpdate(author)
  const known = Y.encodeStateVector(author)
  author.getText('text').insert(5, ', second')
  author.getText('text').delete(0, 1)
  const room = await open(t)
  const doc = new Y.Doc()
  Y.applyUpdate(doc, Y.encodeStateAsUpdate(author, known))
  const binding = bindYjs(room, doc)
  t.after(() => {
    binding.dispose()
    doc.destroy()
  })
  assert.equal(binding.status.state, 'bound')
  room.doc.applyUpdate(first)
  await turn()
  assert.equal(doc.getText('text').toJSON(), 'irst, second')
  assertInStep(binding)
})

test('half a character that Yjs breaks without telling anybody is broken in that Y.Doc alone', async t => {
  // As among Y.Docs: to format what is formatted already changes nothing, but cuts the text.
  const binding = await bind(t)
  const text = binding.doc.getText('text')
  text.insert(0, '😀', { bold: true })
  text.format(1, 1, { bold: true })
  assert.equal(text.toJSON(), '\ufffd\ufffd')
  const other = new Y.Doc()
  Y.applyUpdate(other, binding.room.doc.encodeState())
  assert.equal(other.getText('text').toJSON(), '😀')
  // Both go on, and what is told is the same everywhere.
  text.delete(1, 1)
  Y.applyUpdate(other, binding.room.doc.encodeState())
  assert.equal(other.getText('text').toJSON(), '\ufffd')
  assertInStep(binding)
})

test('an editor that changes the document as it is told of a change is heard', needsRelay, async t => {
  const relay = await Relay.start(t)
  const ana = await bind(t, relay.url)
  const ben = await open(t, relay.url)
  ana.doc.getText('text').observe(({ transaction }) => {
    if (!transaction.local) ana.doc.getMap('map').set('seen', ana.doc.getText('text').length)
    if (ana.doc.getText('text').length === 2) throw new Error('an observer that throws')
  })
  const uncaught: unknown[] = []
  t.mock.method(console, 'error', (error: unknown) => uncaught.push(error))
  await ben.synced
  for (const letter of ['a', 'b', 'c']) {
    ben.doc.text('text').insert(0, letter)
    await ben.flush()
    await until('it is seen', () => ana.doc.getMap('map').get('seen') === ben.doc.text('text').length)
  }
  assertInStep(ana)
  assert.equal(ana.status.state, 'bound')
  assert.equal(uncaught.length, 1)
})

test('a trap goes by unnoticed, also the one that an edit of the Y.Doc meets', async t => {
  const traps = Traps.set(t)
  const binding = await bind(t)
  const text = binding.doc.getText('text')
  text.insert(0, 'before ')
  await turn()
  for (const place of ['edited', 'edited']) {
    text.insert(0, 'untold ')
    traps.inside = place
    text.insert(0, 'trapped ')
    assert.equal(traps.inside, undefined)
    binding.room.doc.text('text').insert(0, 'in the room ')
    text.insert(0, 'after ')
    await turn()
    assertInStep(binding)
  }
  assert.equal(traps.count, 3)
  assert.equal(text.length, 7 + 2 * (7 + 8 + 12 + 6))
  assert.equal(binding.status.state, 'bound')
})

test('what is set aside stays in the Y.Doc, and does not come back to the room by itself', needsRelay, async t => {
  const relay = await Relay.start(t)
  const binding = await bind(t, relay.url)
  const statuses = statusesOf(binding)
  await binding.room.synced
  binding.doc.getText('text').insert(0, 'of the first history')
  await binding.room.flush()
  await relay.stop()
  await until('the relay is missed', () => binding.room.status.state === 'offline')
  await relay.loseData()
  const ben = await open(t, relay.url)
  await ben.synced
  ben.doc.text('text').insert(0, 'of the second')
  await ben.flush()
  await until('the binding says so', () => statuses.length > 0)
  assert.equal(statuses[0]?.state, 'stopped')
  assert.equal((statuses[0] as { readonly error: CoweaveError }).error.code, 'room.lineage_mismatch')
  binding.doc.getText('text').insert(0, 'typed on ')
  await until('the room goes on', () => binding.room.doc.text('text').toString() === 'of the second')
  assert.equal(binding.doc.getText('text').toJSON(), 'typed on of the first history')
  assert.equal(ben.doc.text('text').toString(), 'of the second')
  // A new Y.Doc goes on with the room.
  const next = bindYjs(binding.room, new Y.Doc())
  assert.equal(next.doc.getText('text').toJSON(), 'of the second')
  next.dispose()
})

test('in a room that keeps what is refused, the Y.Doc and the private draft stay in step', needsRelay, async t => {
  const relay = await Relay.start(t)
  const room = client(t, relay.url).room('room', { refused: 'keep' })
  const doc = new Y.Doc()
  const binding = bindYjs(room, doc)
  await room.synced
  doc.getText('text').insert(0, 'of the first history')
  await room.flush()
  await relay.stop()
  await until('the relay is missed', () => room.status.state === 'offline')
  await relay.loseData()
  const ben = await open(t, relay.url)
  await ben.synced
  ben.doc.text('text').insert(0, 'of the second')
  await until('the room stops', () => room.status.state === 'stopped')
  doc.getText('text').insert(0, 'typed on ')
  assert.equal(room.doc.text('text').toString(), 'typed on of the first history')
  assert.equal(binding.status.state, 'bound')
  assertInStep(binding)
  binding.dispose()
  doc.destroy()
})

test('a room that is deleted parts from its Y.Doc, at the latest when that is edited', needsRelay, async t => {
  const relay = await Relay.start(t)
  for (const content of ['something', '']) {
    const binding = await bind(t, relay.url)
    await binding.room.synced
    binding.doc.getText('text').insert(0, content)
    await binding.room.flush()
    await relay.deleteRoom('room')
    await until('the room stops', () => binding.room.status.state === 'stopped')
    if (content === '') binding.doc.getText('text').insert(0, 'too late')
    assert.equal(binding.status.state, 'stopped')
    assert.equal((binding.status as { readonly error: CoweaveError }).error.code, 'room.deleted')
    binding.room.dispose()
  }
})

test('an update that the room refuses stops the binding, and nothing is lost', async t => {
  const binding = await bind(t)
  binding.doc.getText('text').insert(0, 'fine')
  const statuses = statusesOf(binding)
  // A value that is nested deeper than anybody can read.
  let value: unknown = 'deep'
  for (let i = 0; i < 200; i += 1) value = [value]
  binding.doc.getMap('map').set('key', value)
  assert.deepEqual(statuses.map(({ state }) => state), ['stopped'])
  binding.doc.getText('text').insert(4, ', alone')
  assert.equal(binding.room.doc.text('text').toString(), 'fine')
  assert.equal(binding.doc.getText('text').toJSON(), 'fine, alone')
})

test('a binding ends with its room, with its Y.Doc, or by itself, and leaves nothing behind', async t => {
  const endings: readonly ((binding: YjsBinding, it: Client) => void)[] = [
    (_, it) => { it.dispose() },
    ({ room }) => { room.dispose() },
    ({ doc }) => { doc.destroy() },
    binding => { binding.dispose() },
  ]
  for (const end of endings) {
    const it = client(t, NOWHERE)
    const [room, other] = [it.room('room'), it.room('room')]
    await room.loaded
    const doc = new Y.Doc()
    const own = new Set(observersOf(doc).keys()).add('destroy')
    const binding = bindYjs(room, doc)
    const statuses = statusesOf(binding)
    binding.awareness.setLocalStateField('name', 'Ana')
    end(binding, it)
    end(binding, it)
    assert.deepEqual(statuses, [{ state: 'disposed' }])
    assert.equal(binding.status.state, 'disposed')
    doc.getText('text').insert(0, 'after')
    if (other.status.state !== 'disposed') {
      other.doc.text('text').insert(0, 'other')
      await turn()
      assert.equal(other.doc.text('text').toString(), 'other')
    }
    assert.equal(doc.getText('text').toJSON(), 'after')
    // Nothing listens to the Y.Doc any more.
    assert.deepEqual([...observersOf(doc).keys()].filter(event => !own.has(event)), [])
    doc.destroy()
  }
})

test('Y.Docs that were bound and let go of leave nothing in memory', async t => {
  const room = await open(t)
  const bindOnce = (index: number): WeakRef<Y.Doc> => {
    const doc = new Y.Doc()
    const binding = bindYjs(room, doc)
    binding.awareness.setLocalStateField('index', index)
    doc.getText('text').insert(0, 'x')
    binding.on('status', () => doc)
    binding.dispose()
    return new WeakRef(doc)
  }
  const refs: WeakRef<Y.Doc>[] = []
  for (let i = 0; i < 200; i += 1) {
    refs.push(bindOnce(i))
    await turn()
  }
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  await until('all but perhaps the last are collected', () => {
    collect()
    return refs.filter(ref => ref.deref() !== undefined).length <= 1
  })
  assert.equal(room.doc.text('text').length, 200)
})

test('what is no Y.Doc, no room or no options is refused', async t => {
  const room = await open(t)
  const refused = (bind: () => unknown): void => {
    assert.throws(bind, { name: 'CoweaveError', code: 'api.wrong_type' })
  }
  for (const wrong of [undefined, null, {}, 'doc', new Y.Map()]) refused(() => bindYjs(room, wrong as Y.Doc))
  const other = new Y.Doc()
  const awareness = new Awareness(other)
  for (const wrong of [null, 5, other, awareness]) {
    refused(() => bindYjs(room, new Y.Doc(), wrong as never))
    refused(() => yjsProvider(room, wrong as never))
  }
  for (const wrong of [undefined, null, {}, room.doc]) {
    refused(() => bindYjs(wrong as never, new Y.Doc()))
    refused(() => yjsProvider(wrong as never))
  }
  refused(() => yjsProvider(room, { doc: {} as never, connect: false }))
  refused(() => yjsProvider(room, { awareness: {} as never, connect: false }))
  other.destroy()
  room.dispose()
  const doc = new Y.Doc()
  assert.throws(() => bindYjs(room, doc), { code: 'api.disposed' })
  doc.destroy()
})

test('what a room refuses of a Y.Doc at once is told by its status', async t => {
  const doc = new Y.Doc()
  let value: unknown = 'deep'
  for (let i = 0; i < 200; i += 1) value = [value]
  doc.getMap('map').set('key', value)
  const binding = await bind(t, undefined, doc)
  assert.equal(binding.status.state, 'stopped')
  const room = await open(t)
  room.doc.text('text').insert(0, 'x')
  const broken = new Y.Doc()
  // What is thrown inside of Yjs is thrown on, and nothing stays behind.
  Object.defineProperty(broken, 'store', { get: () => { throw new TypeError('broken') } })
  assert.throws(() => bindYjs(room, broken), /broken/)
  assert.equal(observersOf(broken).has('update'), false)
  assert.throws(() => bindYjs(room, new Y.Doc(), { awareness: {} as never }), { code: 'api.wrong_type' })
})

test('Yjs takes no formats away in the Y.Doc of a viewer', async t => {
  const [one, other] = [new Y.Doc(), new Y.Doc()]
  one.getText('text').insert(0, 'word')
  Y.applyUpdate(other, Y.encodeStateAsUpdate(one))
  for (const doc of [one, other]) doc.getText('text').format(0, 4, { bold: true })
  const updates = [one, other].map(doc => Y.encodeStateAsUpdate(doc))
  for (const role of ['viewer', 'editor'] as const) {
    const binding = await bind(t)
    const { room, doc } = binding
    Object.defineProperty(room, 'role', { value: role })
    const text = doc.getText('text')
    const brought: unknown[] = []
    room.doc.on('update', (_, { origin }) => brought.push(origin))
    for (const update of updates) {
      room.doc.applyUpdate(update, 'others')
      await turn()
      await turn()
    }
    assert.deepEqual(text.toDelta(), [{ insert: 'word', attributes: { bold: true } }])
    assert.equal(brought.filter(origin => origin === binding).length, role === 'viewer' ? 0 : 1)
    assert.equal(binding.status.state, 'bound')
    assertInStep(binding)
  }
})

test('of two Y.Docs of one room the last one shows itself, and the other one when that is gone', needsRelay, async t => {
  const relay = await Relay.start(t)
  const [first, peer] = [await bind(t, relay.url), await open(t, relay.url)]
  const [second, third] = [bindYjs(first.room, new Y.Doc()), bindYjs(first.room, new Y.Doc())]
  t.after(() => {
    for (const binding of [second, third]) binding.dispose()
  })
  const shows = (who: string | null) => (): boolean => {
    const [shown] = peer.presence.peers as readonly { readonly state: { readonly who?: string } }[]
    return (shown?.state.who ?? null) === who
  }
  first.awareness.setLocalStateField('who', 'first')
  await until('it is seen', shows('first'))
  second.awareness.setLocalStateField('who', 'second')
  await until('the last one is seen', shows('second'))
  second.dispose()
  await until('the first one is seen again', shows('first'))
  third.awareness.setLocalStateField('who', 'third')
  await until('the third one is seen', shows('third'))
  first.dispose()
  await turn()
  first.room.doc.text('text').insert(0, 'x')
  await first.room.flush()
  assert.ok(shows('third')())
  third.dispose()
  await until('nobody is seen', shows(null))
})
