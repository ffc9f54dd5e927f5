// How long things live: rooms that were dropped leave nothing behind.

import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import { type Room, type WebSocketConstructor, connect } from 'coweave'
import { NOWHERE, Relay, client, needsRelay, turn, until, untilCollected } from './world.js'

/** The memories of all instances that are made from here on. */
function watchMemories(t: TestContext): WebAssembly.Memory[] {
  const memories: WebAssembly.Memory[] = []
  const real = WebAssembly.Instance
  WebAssembly.Instance = new Proxy(real, {
    construct: (target, [module, imports]: [WebAssembly.Module, WebAssembly.Imports]) => {
      const instance = new target(module, imports)
      memories.push(instance.exports['memory'] as WebAssembly.Memory)
      return instance
    },
  })
  t.after(() => {
    WebAssembly.Instance = real
  })
  return memories
}

const MIB = 1 << 20
const words = 'All work and no play makes Jack a dull boy. '

/** A relay that slows nobody down. */
function startRelay(t: TestContext): Promise<Relay> {
  const rates = ['messages-per-second-max', 'bytes-per-second-max', 'joins-per-minute-max']
  return Relay.start(t, Object.fromEntries(rates.map(rate => [rate, '0'])))
}

/** Fills a room with 100 kB in some edits that the relay takes, with a subscriber that holds on to it. */
async function fill(room: Room): Promise<void> {
  await room.loaded
  const body = room.doc.text('body')
  let seen = 0
  body.subscribe(() => {
    seen += room.doc.text('body').length
  })
  for (let i = 0; i < 10; i += 1) {
    body.insert(Math.floor(body.length / 2), words.repeat(230))
    await Promise.resolve()
  }
  await turn()
  assert.ok(seen > 0 && body.length > 100_000)
  await until('the edits to be accepted', () => room.saved.tier !== 'memory')
}

test('600 rooms of 100 kB, opened and dropped, leave less than 2 MiB behind', needsRelay, async t => {
  const memories = watchMemories(t)
  const it = client(t, (await startRelay(t)).url)
  const first = it.room('first')
  await first.loaded
  const memory = memories[0]
  assert.ok(memory !== undefined)
  const before = memory.buffer.byteLength
  for (let i = 0; i < 600; i += 1) {
    const room = it.room(`room-${String(i)}`)
    await fill(room)
    room.dispose()
    await turn()
  }
  const grown = memory.buffer.byteLength - before
  assert.ok(grown < 2 * MIB, `${String(grown)} bytes more`)
  assert.equal(memories.length, 1)
})

test('what many rooms took at once is there for others', needsRelay, async t => {
  const memories = watchMemories(t)
  const it = client(t, (await startRelay(t)).url)
  const open = async (name: string): Promise<void> => {
    const rooms = Array.from({ length: 30 }, (_, i) => it.room(`${name}-${String(i)}`))
    for (const room of rooms) await fill(room)
    for (const room of rooms) room.dispose()
    await turn()
  }
  await open('first')
  const after = memories[0]?.buffer.byteLength ?? 0
  for (const name of ['second', 'third']) await open(name)
  const grown = (memories[0]?.buffer.byteLength ?? 0) - after
  assert.ok(grown < 2 * MIB, `${String(grown)} bytes more`)
})

test('a room whose edits are nowhere else stays until they are, and is there for whoever asks', needsRelay, async t => {
  const relay = await Relay.start(t)
  const it = client(t, relay.url)
  const first = it.room('note')
  await first.synced
  await relay.stop()
  first.presence.set({ name: 'Ana' })
  first.doc.text('body').insert(0, 'typed offline')
  first.dispose()
  await turn()
  const rooms = (): readonly string[] => it.debug().rooms.map(({ name, saved }) => `${name} ${saved.tier}`)
  assert.deepEqual(rooms(), ['note memory'])
  const again = it.room('note')
  assert.equal(again.doc.text('body').toString(), 'typed offline')
  assert.deepEqual(again.saved, { tier: 'memory', pending: 1 })
  again.dispose()
  await turn()
  await relay.start()
  await until('the room to be left', () => rooms().length === 0)
  const later = client(t, relay.url).room('note')
  await later.synced
  assert.equal(later.doc.text('body').toString(), 'typed offline')
  assert.deepEqual(later.presence.peers, [])
})

test('a room whose edits the relay only has in memory stays until they are on its disk', needsRelay, async t => {
  const relay = await Relay.start(t, { COWEAVE_COMMIT_INTERVAL_MS: '10000' })
  const it = client(t, relay.url)
  const room = it.room('note')
  await room.synced
  room.doc.text('body').insert(0, 'flushed')
  await room.flush()
  room.doc.text('body').insert(0, 'taken, and ')
  await until('the edit to be accepted', () => room.saved.tier === 'accepted')
  room.dispose()
  await turn()
  assert.equal(it.debug().rooms.length, 1)
  await relay.stop()
  await relay.start()
  await until('the room to be left', () => it.debug().rooms.length === 0)
  const later = client(t, relay.url).room('note')
  await later.synced
  assert.equal(later.doc.text('body').toString(), 'taken, and flushed')
})

test('what was edited at the last moment is not said to be saved', async t => {
  const it = client(t, NOWHERE)
  const room = it.room('note')
  await room.loaded
  room.doc.text('body').insert(0, 'x')
  it.dispose()
  assert.deepEqual(room.saved, { tier: 'memory', pending: 1 })
})

test('an instance is let go of with its client', async t => {
  const memories = watchMemories(t)
  const use = async (): Promise<WeakRef<WebAssembly.Memory>> => {
    const it = connect(NOWHERE)
    const room = it.room('room')
    await room.loaded
    room.doc.text('body').insert(0, 'x')
    it.dispose()
    const memory = memories.pop()
    assert.ok(memory !== undefined)
    return new WeakRef(memory)
  }
  const refs: WeakRef<WebAssembly.Memory>[] = []
  for (let i = 0; i < 5; i += 1) refs.push(await use())
  await untilCollected('every memory', refs)
})

/** A WebSocket that counts how often it is made. */
async function countSockets(): Promise<{ readonly webSocket: WebSocketConstructor; sockets: number }> {
  const { WebSocket } = await import('ws')
  const counted = {
    sockets: 0,
    webSocket: class extends WebSocket {
      constructor(url: string, protocol: string) {
        super(url, protocol)
        counted.sockets += 1
      }
    },
  }
  return counted
}

test('who leaves the last room for another one goes on over the same connection', needsRelay, async t => {
  const counted = await countSockets()
  const it = client(t, (await Relay.start(t)).url, counted)
  const rooms = (): readonly string[] => it.debug().rooms.map(({ name }) => name)
  for (const name of ['first', 'second', 'first']) {
    const room = it.room(name)
    await room.synced
    assert.deepEqual(rooms(), [name])
    room.dispose()
    await turn()
  }
  assert.equal(counted.sockets, 1)
  await until('the last room to be left', () => rooms().length === 0)
  assert.equal(it.debug().connection?.state, 'unneeded')
})

test('mounted twice, as frameworks do, a room has one socket and loses no sync', needsRelay, async t => {
  const relay = await Relay.start(t)
  const writer = client(t, relay.url).room('room')
  await writer.synced
  writer.doc.text('body').insert(0, 'content')
  await writer.flush()
  const counted = await countSockets()
  const it = client(t, relay.url, counted)
  const mount = (): Room => {
    const room = it.room('room')
    room.on('synced', () => undefined)
    return room
  }
  // In one tick, and with a microtask between.
  const first = mount()
  first.dispose()
  const room = mount()
  room.dispose()
  const last = mount()
  await last.synced
  last.dispose()
  const again = mount()
  await Promise.resolve()
  assert.equal(again.doc.text('body').toString(), 'content')
  assert.equal(again.status.state, 'live')
  assert.equal(counted.sockets, 1)
  // What one effect has disposed is of no use to the next one, and says what is.
  assert.throws(() => first.doc.text('body').toString(), { code: 'api.disposed', message: /ask client\.room\(\)/ })
})
