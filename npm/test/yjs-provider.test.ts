// The surface of a provider, used as bindings of Yjs and their documentation use it.

import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import type { CoweaveError } from 'coweave'
import { type YjsProvider, type YjsProviderOptions, yjsProvider } from 'coweave/yjs'
import { Awareness } from 'y-protocols/awareness'
import * as Y from 'yjs'
import { NOWHERE, Relay, client, needsRelay, open, turn, until } from './world.js'
import { openOutside } from './yjs-world.js'

function provide(t: TestContext, url: string, options?: YjsProviderOptions): YjsProvider {
  const provider = yjsProvider(client(t, url).room('room'), options)
  t.after(() => {
    provider.destroy()
    provider.doc.destroy()
  })
  return provider
}

function textOf(doc: Y.Doc): string {
  return doc.getText('text').toJSON()
}

test('a provider tells what y-websocket tells, and as it does', needsRelay, async t => {
  const relay = await Relay.start(t)
  const outside = await openOutside(t, relay)
  outside.doc.getText('text').insert(0, 'shared')
  const doc = new Y.Doc()
  const provider = provide(t, relay.url, { doc })
  assert.equal(provider.doc, doc)
  assert.equal(provider.awareness.clientID, doc.clientID)
  const told: unknown[] = []
  provider.on('status', ({ status }) => told.push(status))
  const never = (): void => {
    told.push('never')
  }
  provider.on('sync', never)
  provider.off('sync', never)
  provider.once('synced', () => told.push('once'))
  provider.on('sync', isSynced => told.push(isSynced, textOf(doc)))
  assert.equal(provider.synced, false)
  assert.equal(provider.status, 'connecting')
  await until('it is synced', () => provider.synced)
  assert.equal(provider.status, 'connected')
  provider.awareness.setLocalStateField('user', { name: 'Ana', color: '#30bced' })
  await until('the others see who it is', () => {
    return [...outside.awareness.getStates().values()].some(state => 'user' in state)
  })
  await relay.stop()
  await until('it is not synced any more', () => !provider.synced)
  doc.getText('text').insert(6, ', offline')
  await relay.start()
  await until('it is synced again', () => provider.synced)
  await until('the others have it', () => textOf(outside.doc) === 'shared, offline')
  const states = ['connected', true, 'shared', 'once', 'disconnected', false, 'shared']
  assert.deepEqual(told.slice(0, states.length), states)
  assert.deepEqual(told.slice(-3), ['connected', true, 'shared, offline'])
})

test('a provider of a room that is in step already tells so when one can listen', needsRelay, async t => {
  const relay = await Relay.start(t)
  const room = await open(t, relay.url)
  await room.synced
  const told: unknown[] = []
  const listen = (provider: YjsProvider): YjsProvider => {
    provider.on('status', ({ status }) => told.push(status))
    provider.on('sync', isSynced => told.push(isSynced))
    provider.once('synced', () => told.push('once'))
    return provider
  }
  // As frameworks do that mount twice.
  listen(yjsProvider(room)).destroy()
  told.length = 0
  const provider = listen(yjsProvider(room))
  t.after(() => {
    provider.destroy()
  })
  assert.equal(provider.synced, true)
  await turn()
  assert.deepEqual(told, ['connected', true, 'once'])
  const other = listen(yjsProvider(room, { connect: false }))
  t.after(() => {
    other.destroy()
  })
  await turn()
  assert.equal(told.length, 3)
  other.connect()
  assert.deepEqual(told.slice(3), ['connected', true, 'once'])
})

test('without the relay a provider is not synced, and the document is that of the device', async t => {
  const room = await open(t)
  room.doc.text('text').insert(0, 'of the device')
  const provider = yjsProvider(room)
  assert.equal(textOf(provider.doc), 'of the device')
  await until('nobody is there', () => provider.status === 'disconnected')
  assert.equal(provider.synced, false)
  provider.destroy()
})

test('a provider that is disconnected leaves both as they are, and brings together what differs', needsRelay, async t => {
  const relay = await Relay.start(t)
  const provider = provide(t, relay.url, { connect: false })
  const { doc, room } = provider
  await room.synced
  assert.equal(provider.status, 'disconnected')
  assert.equal(provider.shouldConnect, false)
  room.doc.text('text').insert(0, 'room ')
  provider.connect()
  provider.connect()
  await until('it is synced', () => provider.synced)
  provider.awareness.setLocalStateField('user', { name: 'Ana' })
  const ben = await open(t, relay.url)
  await until('Ana is there', () => ben.presence.peers.length === 1)
  provider.disconnect()
  assert.equal(provider.synced, false)
  await until('Ana is gone', () => ben.presence.peers.length === 0)
  doc.getText('text').insert(5, 'doc')
  doc.getText('text').delete(0, 1)
  room.doc.text('text').insert(0, '> ')
  assert.equal(room.doc.text('text').toString(), '> room ')
  assert.equal(textOf(doc), 'oom doc')
  provider.connect()
  assert.equal(textOf(doc), '> oom doc')
  assert.equal(room.doc.text('text').toString(), '> oom doc')
  await until('Ana is there again', () => ben.presence.peers.length === 1)
})

test('what was set aside does not come back with a provider that was disconnected then', needsRelay, async t => {
  const relay = await Relay.start(t)
  const provider = provide(t, relay.url)
  const { doc, room } = provider
  const errors: CoweaveError[] = []
  provider.on('stopped', error => errors.push(error))
  await until('it is synced', () => provider.synced)
  doc.getText('text').insert(0, 'of the first history')
  await room.flush()
  provider.disconnect()
  await relay.stop()
  await until('the relay is missed', () => room.status.state === 'offline')
  await relay.loseData()
  const ben = await open(t, relay.url)
  await ben.synced
  ben.doc.text('text').insert(0, 'of the second')
  await until('it is set aside', () => errors.length === 1)
  assert.equal(errors[0]?.code, 'room.lineage_mismatch')
  provider.connect()
  assert.equal(provider.status, 'disconnected')
  assert.equal(provider.shouldConnect, false)
  await ben.flush()
  assert.equal(ben.doc.text('text').toString(), 'of the second')
  assert.equal(textOf(doc), 'of the first history')
})

test('a destroyed provider leaves nothing behind, and an awareness that is not its own as it is', async t => {
  const it = client(t, NOWHERE)
  for (const own of [true, false]) {
    const doc = new Y.Doc()
    const awareness = new Awareness(doc)
    const provider = yjsProvider(it.room('room'), own ? { doc } : { doc, awareness })
    await it.room('room').loaded
    const told: unknown[] = []
    provider.on('status', ({ status }) => told.push(status))
    provider.awareness.setLocalStateField('name', 'Ana')
    provider.destroy()
    provider.destroy()
    provider.connect()
    assert.deepEqual(told, ['disconnected'])
    assert.deepEqual(provider.awareness.getLocalState(), own ? null : { name: 'Ana' })
    doc.destroy()
  }
})

test('a provider ends with its document, and lets bindings listen to what others tell', async t => {
  const provider = yjsProvider(await open(t))
  // As Lexical does, and who expects a y-websocket.
  for (const event of ['reload', 'update', 'connection-error', '__proto__'] as 'reload'[]) {
    const listener = (): void => { assert.fail(event) }
    provider.on(event, listener)
    provider.once(event, listener)
    provider.off(event, listener)
  }
  for (const event of [undefined, null, 7, Symbol('sync'), ['sync']]) {
    assert.throws(() => {
      provider.on(event as unknown as 'sync', () => undefined)
    }, { name: 'CoweaveError', code: 'api.wrong_type' })
  }
  assert.throws(() => {
    provider.on('sync', 'no function' as unknown as () => void)
  }, { name: 'CoweaveError', code: 'api.wrong_type' })
  provider.doc.destroy()
  assert.equal(provider.status, 'disconnected')
  assert.equal(provider.shouldConnect, false)
})

test('a provider tells of what its room refuses at once', async t => {
  const doc = new Y.Doc()
  let value: unknown = 'deep'
  for (let i = 0; i < 200; i += 1) value = [value]
  doc.getMap('map').set('key', value)
  const provider = yjsProvider(await open(t), { doc })
  t.after(() => {
    provider.destroy()
  })
  const told: string[] = []
  provider.on('stopped', ({ code }) => told.push(code))
  await turn()
  assert.deepEqual(told, ['update.malformed'])
  assert.equal(provider.shouldConnect, false)
})
