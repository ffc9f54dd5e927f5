// Two clients and a real relay.

import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import type { Room } from 'coweave'
import { Relay, client, needsRelay, until } from './world.js'

async function join<S extends object>(t: TestContext, relay: Relay): Promise<Room<S>> {
  const room = client(t, relay.url).room<S>('notes/today')
  await room.synced
  return room
}

test('two clients edit together and end equal', needsRelay, async t => {
  const relay = await Relay.start(t)
  const [ana, ben] = [await join(t, relay), await join(t, relay)]
  const [a, b] = [ana.doc.text('body'), ben.doc.text('body')]
  assert.equal(ana.status.state, 'live')
  let mirror = ''
  b.subscribe(({ delta, local }) => {
    assert.ok(!local || delta.length > 0)
    let at = 0
    for (const step of delta) {
      if ('retain' in step) at += step.retain
      else if ('delete' in step) mirror = mirror.slice(0, at) + mirror.slice(at + step.delete)
      else {
        const { insert } = step
        assert.ok(typeof insert === 'string')
        mirror = mirror.slice(0, at) + insert + mirror.slice(at)
        at += insert.length
      }
    }
  })
  a.insert(0, 'Hello 😀')
  await until('it arrives', () => b.toString() === 'Hello 😀')
  for (let i = 0; i < 50; i += 1) {
    a.insert(a.length, String(i))
    b.insert(0, 'b')
    if (i % 5 === 0) b.delete(0, 1)
    if (i % 7 === 0) await new Promise(resolve => setTimeout(resolve, 1))
  }
  await Promise.all([ana.flush(), ben.flush()])
  await until('both are equal', () => a.toString() === b.toString())
  assert.equal(mirror, b.toString())
  assert.deepEqual(ana.saved, { tier: 'durable', pending: 0 })
})

test('what was flushed survives the relay, and what was typed meanwhile follows', needsRelay, async t => {
  const relay = await Relay.start(t)
  const ana = await join(t, relay)
  ana.doc.text('body').insert(0, 'one')
  await ana.flush()
  await relay.stop()
  await until('it is noticed', () => ana.status.state === 'offline')
  ana.doc.text('body').insert(3, ' two')
  assert.deepEqual(ana.saved, { tier: 'memory', pending: 1 })
  await relay.start()
  await ana.flush()
  assert.equal(ana.status.state, 'live')
  const ben = await join(t, relay)
  assert.equal(ben.doc.text('body').toString(), 'one two')
})

test('peers see what others show, and that they left', needsRelay, async t => {
  const relay = await Relay.start(t)
  interface Shown {
    readonly name: string
  }
  const ana = await join<Shown>(t, relay)
  const ben = await join<Shown>(t, relay)
  let calls = 0
  ana.presence.subscribe(() => {
    calls += 1
  })
  ben.presence.set({ name: 'Ben' })
  await until('Ben is seen', () => ana.presence.peers[0]?.state.name === 'Ben')
  assert.equal(ben.presence.peers.length, 0)
  ben.presence.set({ name: 'Benedict' })
  await until('his new name', () => ana.presence.peers[0]?.state.name === 'Benedict')
  ben.presence.set(null)
  await until('nothing is shown', () => ana.presence.peers.length === 0)
  ben.presence.set({ name: 'Ben' })
  await until('Ben is seen again', () => ana.presence.peers.length === 1)
  ben.dispose()
  await until('Ben left', () => ana.presence.peers.length === 0)
  assert.ok(calls >= 2)
})

test('many rooms share one connection', needsRelay, async t => {
  const relay = await Relay.start(t)
  const [ana, ben] = [client(t, relay.url), client(t, relay.url)]
  const names = Array.from({ length: 20 }, (_, i) => `room ${String(i)}`)
  for (const name of names) {
    const room = ana.room(name)
    await room.loaded
    room.doc.text('body').insert(0, name)
    await room.flush()
    room.dispose()
  }
  for (const name of names) {
    const room = ben.room(name)
    await room.synced
    assert.equal(room.doc.text('body').toString(), name)
  }
})

test('edits made just before a client is disposed are sent', needsRelay, async t => {
  const relay = await Relay.start(t)
  const ana = client(t, relay.url)
  const room = ana.room('notes/today')
  await room.synced
  room.doc.text('body').insert(0, 'last words')
  ana.dispose()
  const ben = await join(t, relay)
  await until('they arrive', () => ben.doc.text('body').toString() === 'last words')
})

test('of many who bring a template one is first, and all have it once', needsRelay, async t => {
  const relay = await Relay.start(t)
  const rooms = Array.from({ length: 12 }, () => client(t, relay.url).room('notes/today'))
  const template = { body: 'Dear all,\n', footer: 'Yours 😀' }
  const outcomes = await Promise.all(rooms.map(room => room.seed(template)))
  assert.deepEqual(outcomes.filter(isFirst => isFirst), [true])
  const has = (room: Room, name: 'body' | 'footer'): boolean =>
    room.doc.text(name).toString() === template[name]
  await until('all have it', () => rooms.every(room => has(room, 'body') && has(room, 'footer')))
  const late: Room = await join(t, relay)
  assert.equal(await late.seed({ body: 'Too late' }), false)
  assert.ok(has(late, 'body'))
})

test('a large document shows how far it has come', needsRelay, async t => {
  const relay = await Relay.start(t)
  const ana = await join(t, relay)
  ana.doc.text('body').insert(0, 'x'.repeat(3_000_000))
  await ana.flush()
  const ben = client(t, relay.url).room('notes/today')
  const seen: number[] = []
  ben.on('status', status => {
    if (status.state !== 'syncing') return
    assert.ok(status.received <= status.total && status.total > 3_000_000)
    seen.push(status.received)
  })
  await ben.synced
  assert.equal(ben.doc.text('body').length, 3_000_000)
  assert.ok(seen.length > 0, 'no progress was told')
  assert.deepEqual(seen, [...seen].sort((a, b) => a - b))
})
