// What the relay will not have: set aside, offered, and kept out of the room.

import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import type { Client, CoweaveError, Room, RoomOptions, SetAsideCopy } from 'coweave'
import { Relay, client, needsRelay, until } from './world.js'

/** A live room of a client, and what it is told. */
interface Joined {
  readonly client: Client
  readonly room: Room
  readonly copies: SetAsideCopy[]
  readonly refused: CoweaveError[]
}

async function join(t: TestContext, relay: Relay, options?: RoomOptions): Promise<Joined> {
  const made = client(t, relay.url)
  const room = made.room('notes/today', options)
  const joined: Joined = { client: made, room, copies: [], refused: [] }
  room.on('set-aside', copy => joined.copies.push(copy))
  room.on('refused', ({ error }) => joined.refused.push(error))
  await room.synced
  return joined
}

const body = (room: Room): string => room.doc.text('body').toString()

/** Types something, and waits until the relay has it. */
async function type(room: Room, content: string): Promise<void> {
  room.doc.text('body').insert(0, content)
  await room.flush()
}

/** A relay of this kind takes no edit of that size. */
const SMALL = { COWEAVE_FRAME_BYTES_MAX: '65536' }
const TOO_LARGE = 'x'.repeat(100_000)

test('an edit that is too large is set aside with the document, and the room goes on', needsRelay, async t => {
  const relay = await Relay.start(t, SMALL)
  const ana = await join(t, relay)
  const ben = await join(t, relay)
  await type(ben.room, 'theirs')
  await until('it arrives', () => body(ana.room) === 'theirs')
  let shown = 'theirs'
  ana.room.doc.text('body').subscribe(({ delta }) => {
    let at = 0
    for (const step of delta) {
      if ('retain' in step) at += step.retain
      else if ('delete' in step) shown = shown.slice(0, at) + shown.slice(at + step.delete)
      else shown = shown.slice(0, at) + step.insert + shown.slice(at)
    }
  })
  ana.room.doc.transact(() => {
    ana.room.doc.text('body').insert(6, ' and mine')
    ana.room.doc.text('other').insert(0, 'aside')
    ana.room.doc.text('large').insert(0, TOO_LARGE)
  })
  const flushed = ana.room.flush()
  await assert.rejects(flushed, { code: 'update.too_large' })
  await until('it goes on', () => ana.room.status.state === 'live')
  assert.equal(body(ana.room), 'theirs')
  assert.equal(shown, 'theirs')
  assert.deepEqual(ana.room.saved, { tier: 'durable', pending: 0 })
  assert.deepEqual(ana.refused.map(error => error.code), ['update.too_large'])
  assert.equal(ana.copies.length, 1)
  const [copy] = await ana.room.copies()
  assert.ok(copy !== undefined)
  assert.equal(copy, ana.copies[0])
  assert.equal(copy.error.code, 'update.too_large')
  assert.ok(Math.abs(copy.time - Date.now()) < 60_000)
  assert.equal(copy.text('body'), 'theirs and mine')
  assert.equal(copy.text('no such text'), '')
  assert.deepEqual(Object.keys(copy.texts).sort(), ['body', 'large', 'other'])
  assert.ok(copy.update.length > TOO_LARGE.length)
  await copy.drop()
  assert.deepEqual(await ana.room.copies(), [])
  // Both go on together.
  await type(ana.room, 'again, ')
  await until('it arrives', () => body(ben.room) === 'again, theirs')
  assert.equal(ben.copies.length, 0)
})

test('an app that keeps what is refused has it as a private draft', needsRelay, async t => {
  const relay = await Relay.start(t, SMALL)
  const ana = await join(t, relay, { refused: 'keep' })
  ana.room.doc.text('body').insert(0, TOO_LARGE)
  await until('it is refused', () => ana.room.status.state === 'stopped')
  assert.deepEqual(ana.refused.map(error => error.code), ['update.too_large'])
  assert.equal(body(ana.room), TOO_LARGE)
  assert.deepEqual([ana.copies, await ana.room.copies()], [[], []])
  assert.ok(ana.room.saved.pending > 0)
})

test('a relay with another history gets nothing of the copy, which is set aside', needsRelay, async t => {
  const relay = await Relay.start(t)
  const ana = await join(t, relay)
  await type(ana.room, 'the old history')
  await relay.stop()
  await until('it is noticed', () => ana.room.status.state === 'offline')
  ana.room.doc.text('body').insert(0, 'typed meanwhile, ')
  await relay.loseData()
  const ben = await join(t, relay)
  await type(ben.room, 'the new history')
  await until('it goes on', () => body(ana.room) === 'the new history')
  assert.deepEqual(ana.copies.map(copy => copy.error.code), ['room.lineage_mismatch'])
  assert.equal(ana.copies[0]?.text('body'), 'typed meanwhile, the old history')
  assert.equal(ana.room.status.state, 'live')
  assert.equal(ana.room.saved.pending, 0)
  await ana.room.flush()
  assert.equal(body(ben.room), 'the new history')
})

test('a deleted room is set aside, stops, and can be opened anew', needsRelay, async t => {
  const relay = await Relay.start(t)
  const ana = await join(t, relay)
  await type(ana.room, 'of a room that goes')
  await relay.deleteRoom('notes/today')
  await until('it is told', () => ana.room.status.state === 'stopped')
  assert.deepEqual(ana.copies.map(copy => copy.error.code), ['room.deleted'])
  assert.equal(body(ana.room), '')
  assert.throws(() => {
    ana.room.doc.text('body').insert(0, 'too late')
  }, { code: 'room.deleted' })
  ana.room.dispose()
  await Promise.resolve()
  const again = ana.client.room('notes/today')
  await again.synced
  assert.equal(body(again), '')
  await type(again, 'of a new room')
  const [copy] = await again.copies()
  assert.equal(copy?.text('body'), 'of a room that goes')
  const ben = await join(t, relay)
  assert.equal(body(ben.room), 'of a new room')
})

test('options of a room that are none are refused', t => {
  const made = client(t, 'ws://127.0.0.1:9')
  for (const options of [null, 7, { refused: 'drop' }]) {
    assert.throws(() => made.room('room', options as never), { code: 'api.wrong_type' })
  }
})
