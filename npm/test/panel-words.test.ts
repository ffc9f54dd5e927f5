// The words of the panel: every state of a client is told, with its reason, in a sentence.

import assert from 'node:assert/strict'
import test from 'node:test'
import type { ConnectionFigures, DebugRoom, DebugSnapshot, ErrorDetails } from 'coweave'
import {
  bytes,
  connectionVerdict,
  duration,
  eventWords,
  overallVerdict,
  roomReasons,
  roomVerdict,
} from '../dist/panel-words.js'

const at = 1_000_000
const full: ErrorDetails = {
  code: 'room.full',
  message: 'the room is full',
  fault: 'relay',
  retryable: true,
}

const room: DebugRoom = {
  name: 'notes',
  status: { state: 'live' },
  saved: { tier: 'durable', pending: 0 },
  storage: { kind: 'device' },
  role: 'editor',
  isLoaded: true,
  isSynced: true,
  isOnDevice: true,
  figures: null,
  peers: 0,
  shares: 1,
  listeners: 0,
  events: [],
}

const connection: ConnectionFigures = {
  state: 'open',
  since: at - 90_000,
  retryAt: null,
  attempts: 0,
  lastError: null,
  heardAt: at,
  answerBy: null,
  roundTrip: null,
  sent: { frames: 0, bytes: 0 },
  received: { frames: 0, bytes: 0 },
  relay: null,
  tabs: { others: 0, isLeader: false },
}

const snapshot = (of: Partial<DebugSnapshot> = {}): DebugSnapshot => ({
  version: '0',
  at,
  url: 'ws://127.0.0.1:9/',
  module: 'running',
  error: null,
  restarts: 0,
  connection,
  rooms: [room],
  ...of,
})

test('all rooms together are as safe as the worst one', () => {
  const says = (rooms: readonly Partial<DebugRoom>[]): string =>
    overallVerdict(snapshot({ rooms: rooms.map(it => ({ ...room, ...it })) })).words
  assert.equal(says([]), 'No room is open.')
  assert.equal(says([{}, {}]), 'Everything is saved.')
  assert.equal(says([{}, { saved: { tier: 'accepted', pending: 1 } }]), 'Being saved.')
  const onDevice = { saved: { tier: 'device', pending: 1_234 } } as const
  assert.equal(says([onDevice]), 'Saved on this device: 1,234 edits are not at the relay yet.')
  const inMemory = { saved: { tier: 'memory', pending: 1 } } as const
  assert.equal(says([onDevice, inMemory]), 'Not saved: 1 edit is only in memory.')
  assert.equal(says([inMemory, inMemory]), 'Not saved: 2 edits in 2 rooms are only in memory.')
  const stopped = { status: { state: 'stopped', error: full } } as const
  assert.equal(says([{}, stopped]), 'Saved so far, but 1 room has stopped.')
  assert.equal(says([stopped, inMemory]), 'Not saved: 1 edit is only in memory.')
  assert.equal(overallVerdict(snapshot({ module: 'disposed' })).words, 'The client was disposed.')
  const failed = overallVerdict(snapshot({ module: 'failed', error: full }))
  assert.deepEqual(failed, {
    tone: 'bad',
    words: 'The client cannot run: the room is full (room.full).',
  })
})

test('the connection is told in every state, with when and why', () => {
  const says = (of: Partial<ConnectionFigures>): string =>
    connectionVerdict(snapshot({ connection: { ...connection, ...of } })).words
  const lastError = { at, error: full }
  assert.equal(says({}), 'Connected for 90 s.')
  assert.equal(says({ answerBy: at + 4_900 }), 'Connected for 90 s.')
  assert.equal(
    says({ answerBy: at + 2_000 }),
    'Connected, but the relay is silent; it is given up in 2 s.',
  )
  assert.equal(
    says({ state: 'waiting', retryAt: at + 2_400, lastError }),
    'The relay cannot be reached; next try in 3 s. The room is full (room.full).',
  )
  assert.equal(says({ state: 'waiting', retryAt: at - 1 }), 'The relay cannot be reached; next try now.')
  assert.equal(says({ state: 'connecting' }), 'Connecting to the relay.')
  assert.equal(
    says({ state: 'connecting', attempts: 3, lastError }),
    'Trying to reach the relay again, for the 3rd time. The room is full (room.full).',
  )
  assert.equal(says({ state: 'greeting' }), 'The relay was reached and has not answered yet.')
  assert.equal(
    says({ state: 'stopped', lastError }),
    'The relay turned this client away, and to try again would not help. The room is full (room.full).',
  )
  assert.equal(says({ state: 'unneeded' }), 'Not connected: no room needs it.')
  const loading = snapshot({ module: 'loading', connection: null })
  assert.equal(connectionVerdict(loading).words, 'The module is being loaded.')
})

test('a room tells its reasons, and none when there is none', () => {
  const says = (of: Partial<DebugRoom>, state: ConnectionFigures['state'] = 'open'): string =>
    roomReasons({ ...room, ...of }, snapshot({ connection: { ...connection, state } }))
      .map(({ words }) => words).join(' ')
  assert.equal(says({}), '')
  assert.equal(
    says({ status: { state: 'stopped', error: full } }),
    'The room has stopped: the room is full (room.full).',
  )
  assert.equal(
    says({ storage: { kind: 'lost', error: full }, status: { state: 'opening' } }),
    'This device\'s store failed, and is tried again: the room is full (room.full). What this device has is being read.',
  )
  assert.equal(
    says({ storage: { kind: 'damaged', error: full } }),
    'Something on this device cannot be used: the room is full (room.full).',
  )
  assert.match(says({ storage: { kind: 'memory' } }), /^Nothing is kept on this device/)
  assert.equal(
    says({ status: { state: 'syncing', received: 1, total: 3 } }),
    'Catching up with the relay: 33 %.',
  )
  const offline = { state: 'offline', retryAt: at + 1_000, error: full } as const
  assert.equal(says({ status: offline }), 'The relay does not let this room in; next try in 1 s. The room is full (room.full).')
  assert.equal(says({ status: offline }, 'waiting'), '')
  assert.equal(says({ role: 'viewer' }), 'This session may read the room, and not write into it.')
})

test('a room that has stopped never looks good', () => {
  const stopped: DebugRoom = { ...room, status: { state: 'stopped', error: full } }
  for (const tier of ['memory', 'device', 'accepted', 'durable'] as const) {
    assert.equal(roomVerdict({ ...stopped, saved: { tier, pending: 1 } }).tone, 'bad')
  }
})

test('events, lengths of time and sizes are told as people say them', () => {
  assert.equal(eventWords({ at, event: 'storage-lost', error: full }), 'storage lost: the room is full (room.full).')
  assert.equal(eventWords({ at, event: 'status', state: 'live' }), 'in step with the relay')
  assert.deepEqual([0, 119_000, 300_000, 9e6].map(duration), ['0 s', '119 s', '5 min', '3 h'])
  assert.deepEqual([0, 999, 1_000, 12_345, 999_499, 999_500, 5e6].map(bytes), [
    '0 B', '999 B', '1.0 kB', '12 kB', '999 kB', '1.0 MB', '5.0 MB',
  ])
})
