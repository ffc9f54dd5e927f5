// `client.debug()`: what it says in good and bad times, and what it never says.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import test, { type TestContext } from 'node:test'
import { type Client, CoweaveError, type DebugRoom, type DebugSnapshot } from 'coweave'
import { EventLog } from '../dist/event-log.js'
import { Listeners } from '../dist/listeners.js'
import { version } from '../dist/version.js'
import { NOWHERE, Relay, client, needsRelay, until } from './world.js'

/** A client with a loaded room. */
async function enter(t: TestContext, url: string): Promise<Client> {
  const made = client(t, url)
  await made.room('notes').loaded
  return made
}

function only(snapshot: DebugSnapshot): DebugRoom {
  const [room] = snapshot.rooms
  assert.ok(room !== undefined && snapshot.rooms.length === 1)
  return room
}

test('the version is that of the package', async () => {
  const manifest = await readFile(new URL('../package.json', import.meta.url), 'utf8')
  assert.equal((JSON.parse(manifest) as { version: string }).version, version)
})

test('a snapshot is plain JSON at every moment of a client', needsRelay, async t => {
  const relay = await Relay.start(t)
  const made = client(t, relay.url)
  const plain = (): DebugSnapshot => {
    const snapshot = made.debug()
    assert.deepEqual(JSON.parse(JSON.stringify(snapshot)), snapshot)
    return snapshot
  }
  assert.equal(plain().module, 'loading')
  const room = made.room('notes')
  assert.equal(only(plain()).figures, null)
  await room.synced
  assert.equal(plain().module, 'running')
  await relay.stop()
  await until('the relay is missed', () => room.status.state === 'offline')
  plain()
  made.dispose()
  assert.deepEqual([plain().module, plain().connection, plain().rooms], ['disposed', null, []])
})

test('a snapshot in good times: all figures agree with what was done', needsRelay, async t => {
  const relay = await Relay.start(t)
  const made = await enter(t, relay.url)
  const room = made.room('notes')
  const subscription = room.on('saved', () => undefined)
  await room.synced
  room.doc.text('body').insert(0, 'Hello')
  await room.flush()
  const snapshot = made.debug()
  const { connection } = snapshot
  assert.equal(connection?.state, 'open')
  assert.match(connection.relay?.software ?? '', /^coweave-relay/)
  assert.deepEqual([connection.attempts, connection.lastError, connection.retryAt], [0, null, null])
  assert.ok(connection.sent.frames >= 3 && connection.sent.bytes > connection.sent.frames)
  assert.ok(connection.received.frames >= 3 && connection.received.bytes > 30)
  const now = Date.now()
  for (const at of [connection.since, connection.heardAt, snapshot.at]) {
    assert.ok(at !== null && at <= now + 5 && at > now - 60_000, String(at))
  }
  const { name, status, saved, figures, shares, listeners, peers, isSynced } = only(snapshot)
  assert.deepEqual(
    { name, status, saved, shares, listeners, peers, isSynced },
    {
      name: 'notes',
      status: { state: 'live' },
      saved: { tier: 'durable', pending: 0 },
      shares: 2,
      listeners: 1,
      peers: 0,
      isSynced: true,
    },
  )
  subscription.dispose()
  assert.equal(only(made.debug()).listeners, 0)
  assert.ok(figures !== null)
  assert.deepEqual(figures.edits, { last: 1, device: 0, accepted: 1, durable: 1 })
  assert.deepEqual(figures.outbox, { updates: 0, bytes: 0 })
  assert.deepEqual([figures.document.clients, figures.document.elements], [1, 5])
  assert.match(figures.lineage ?? '', /^[0-9a-f]{32}$/)
  assert.equal(figures.position.sequence, 1)
  const events = only(made.debug()).events.map(({ event, state }) => state ?? event)
  assert.deepEqual(events.filter(it => ['loaded', 'live', 'synced'].includes(it)), ['loaded', 'live', 'synced'])
})

test('a snapshot in bad times says what waits, why, and until when', async t => {
  const made = await enter(t, NOWHERE)
  const room = made.room('notes')
  await until('the relay is missed', () => room.status.state === 'offline')
  room.doc.text('body').insert(0, 'Hello')
  const snapshot = made.debug()
  const { status, saved, figures, events, isOnDevice, storage } = only(snapshot)
  // An attempt may be under way at this moment.
  assert.ok(['offline', 'connecting'].includes(status.state))
  assert.deepEqual(saved, { tier: 'memory', pending: 1 })
  assert.deepEqual([isOnDevice, storage], [false, { kind: 'memory' }])
  assert.equal(figures?.outbox.updates, 1)
  assert.ok(figures.outbox.bytes > 5)
  assert.ok((snapshot.connection?.attempts ?? 0) > 0)
  assert.equal(snapshot.connection?.lastError?.error.code, 'connection.lost')
  const offline = events.find(({ state }) => state === 'offline')
  assert.equal(offline?.error?.code, 'connection.lost')
})

test('a log keeps the last twenty events and no more', () => {
  const refused = new Listeners<{ readonly error: CoweaveError; readonly content: string }>()
  const saved = new Listeners<number>()
  const log = new EventLog({ refused, saved })
  for (let i = 0; i < 30; i += 1) {
    saved.notify(i)
    const message = String(i)
    refused.notify({
      error: new CoweaveError({ code: 'update.too_large', message, fault: 'app', retryable: false }),
      content: 'what was typed',
    })
  }
  assert.equal(log.events.length, 20)
  const first = log.events[0]
  assert.deepEqual({ ...first, at: 0 }, {
    at: 0,
    event: 'refused',
    error: { code: 'update.too_large', message: '10', fault: 'app', retryable: false },
  })
})

test('a snapshot holds no token, no query of the address, and nothing that was written', needsRelay, async t => {
  const relay = await Relay.start(t)
  const token = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbmEifQ.c2lnbmF0dXJl'
  const secrets = ['hunter2', 'sesame', 'Dear diary', token, 'Ana']
  const made = client(t, `${relay.url.replace('ws://', 'ws://ana:hunter2@')}/path?key=sesame`, {
    token: () => token,
  })
  const failing = client(t, relay.url, {
    token: () => { throw new Error(`401 for ${token}`) },
  })
  const room = made.room('notes')
  await room.loaded
  room.doc.text('body').insert(0, 'Dear diary')
  room.presence.set({ name: 'Ana' })
  const other = failing.room('notes')
  await until('the failure is known', () => failing.debug().connection?.lastError != null)
  assert.equal(failing.debug().connection?.lastError?.error.code, 'token.failed')
  await other.loaded
  for (const text of [made, failing].map(it => JSON.stringify(it.debug()))) {
    for (const secret of secrets) assert.ok(!text.includes(secret), `${secret} is in ${text}`)
  }
  assert.equal(made.debug().url, `${relay.url}/path`)
})
