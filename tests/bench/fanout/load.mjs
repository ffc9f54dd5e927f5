// The fan-out load: rooms full of y-websocket clients, some of which type at a given rate; counts every
// delivery of every update, and checks afterwards that nothing is missing.

import * as decoding from 'lib0/decoding'
import * as encoding from 'lib0/encoding'
import * as Y from 'yjs'

import { sleep, until } from '../../harness/until.mjs'
import { clientFrame, openSocket } from './socket.mjs'

const SYNC = 0
const STEP_1 = 0
const STEP_2 = 1
const UPDATE = 2
const DRAIN_MS_MAX = 5_000
const CONNECT_MS_MAX = 20_000
const TEXT = 'body'

const emptyStep1 = clientFrame(Buffer.from([SYNC, STEP_1, 1, 0]))
const emptyStep2 = clientFrame(Buffer.from([SYNC, STEP_2, 2, 0, 0]))

let roomCount = 0
let clientCount = 1

/**
 * Runs one load and answers with what came of it.
 * `shape`: { rooms, clients, writers } per room; `rate`: updates per second of all writers together.
 */
export async function runLoad({ port, shape, rate, seconds, usage }) {
  const updatesPerWriter = Math.max(1, Math.round((rate * seconds) / (shape.rooms * shape.writers)))
  const rooms = Array.from({ length: shape.rooms }, () => new Room(shape, updatesPerWriter))
  const latencies = new Latencies(rooms.reduce((sum, room) => sum + room.deliveriesExpected, 0))
  await Promise.all(rooms.map(room => room.connect(port, latencies)))

  const before = usage()
  const schedule = sendTimes(rooms.flatMap(room => room.writers), updatesPerWriter, seconds)
  const { sendMs, startedAt } = await send(schedule)
  await until(() => rooms.every(room => room.isComplete), 'everything is delivered', DRAIN_MS_MAX).catch(() => undefined)
  const wallMs = performance.now() - startedAt
  const after = usage()

  const failures = await verify(rooms, port)
  for (const room of rooms) room.close()
  return {
    updates: schedule.length,
    updatesPerSecond: schedule.length / (sendMs / 1000),
    deliveries: latencies.count,
    deliveriesPerSecond: latencies.count / (Math.max(sendMs, latencies.lastAt - startedAt) / 1000),
    isOnTime: sendMs < seconds * 1050,
    p50: latencies.percentile(0.5),
    p99: latencies.percentile(0.99),
    cpuSeconds: after.cpuSeconds - before.cpuSeconds,
    generatorShare: (after.generatorSeconds - before.generatorSeconds) / (wallMs / 1000),
    residentMib: after.residentMib,
    failures,
  }
}

class Latencies {
  count = 0
  lastAt = 0
  #values

  constructor(size) {
    this.#values = new Float32Array(size)
  }

  add(ms, now) {
    if (this.count < this.#values.length) this.#values[this.count] = ms
    this.count += 1
    this.lastAt = now
  }

  percentile(share) {
    const sorted = this.#values.subarray(0, this.count).slice().sort()
    return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN
  }
}

/** A client that types: its updates exist before the clock starts. */
class Writer {
  socket = null
  sent = 0

  constructor(index, count) {
    this.index = index
    this.doc = new Y.Doc({ gc: false })
    this.doc.clientID = clientCount++
    this.frames = []
    this.updateLengths = []
    this.sentAt = new Float64Array(count)
    const text = this.doc.getText(TEXT)
    this.doc.on('update', update => {
      this.updateLengths.push(update.length)
      this.frames.push(clientFrame(syncMessage(UPDATE, update)))
    })
    for (let i = 0; i < count; i += 1) text.insert(i, String.fromCharCode(97 + ((i * 7) % 26)))
  }

  sendNext() {
    this.sentAt[this.sent] = performance.now()
    this.socket.write(this.frames[this.sent])
    this.sent += 1
  }
}

class Room {
  constructor(shape, updatesPerWriter) {
    roomCount += 1
    this.path = `/bench-${process.pid}-${roomCount}`
    this.writers = Array.from({ length: shape.writers }, (_, index) => new Writer(index, updatesPerWriter))
    this.byClient = new Map(this.writers.map(writer => [writer.doc.clientID, writer]))
    this.clients = []
    this.shape = shape
    this.deliveriesExpected = shape.writers * updatesPerWriter * (shape.clients - 1)
  }

  async connect(port, latencies) {
    for (let i = 0; i < this.shape.clients; i += 1) {
      const client = new Client(this, this.writers[i] ?? null, latencies)
      await client.connect(port)
      this.clients.push(client)
    }
    await until(() => this.clients.every(client => client.isSynced), `all clients of ${this.path} are synced`, CONNECT_MS_MAX)
  }

  get isComplete() {
    return this.clients.every(client => client.missing() === 0)
  }

  close() {
    for (const client of this.clients) client.socket.close()
  }
}

class Client {
  socket = null
  isSynced = false
  problem = null
  /** Everything one client of the room was sent, to be applied by yjs afterwards. */
  kept = []

  constructor(room, writer, latencies) {
    this.room = room
    this.writer = writer
    this.latencies = latencies
    this.next = new Uint32Array(room.writers.length)
    this.isWitness = room.clients.length === room.shape.clients - 1
  }

  async connect(port) {
    const onMessage = (bytes, start, end) => this.#receive(bytes, start, end)
    const onClose = reason => { this.problem ??= `the server ended a connection (${reason})` }
    const onOpen = socket => { this.socket = socket }
    await openSocket({ port, path: this.room.path, onOpen, onMessage, onClose })
    if (this.writer !== null) this.writer.socket = this.socket
    this.socket.write(emptyStep1)
  }

  missing() {
    let count = 0
    for (const writer of this.room.writers) {
      if (writer !== this.writer) count += writer.sent - this.next[writer.index]
    }
    return count
  }

  #receive(bytes, start, end) {
    if (bytes[start] !== SYNC) return
    const kind = bytes[start + 1]
    if (kind === STEP_1) this.socket.write(emptyStep2)
    else if (kind === STEP_2) this.isSynced = true
    else if (kind === UPDATE) this.#count(bytes, start, end)
  }

  /** An update is known by the client and clock at its start; only a merged one is decoded. */
  #count(bytes, start, end) {
    const now = performance.now()
    const cursor = { bytes, at: start + 2 }
    const length = varUint(cursor)
    const update = cursor.at
    if (this.isWitness) this.kept.push(Uint8Array.prototype.slice.call(bytes, update, end))
    const clients = varUint(cursor)
    varUint(cursor)
    const writer = clients === 1 ? this.room.byClient.get(varUint(cursor)) : undefined
    const clock = writer === undefined ? 0 : varUint(cursor)
    if (writer !== undefined && writer.updateLengths[clock] === length) {
      this.#delivered(writer, clock, 1, now)
      return
    }
    const { structs } = Y.decodeUpdate(Uint8Array.prototype.slice.call(bytes, update, end))
    for (const struct of structs) {
      this.#delivered(this.room.byClient.get(struct.id.client), struct.id.clock, struct.length, now)
    }
  }

  #delivered(writer, clock, count, now) {
    if (writer === this.writer) return
    if (writer === undefined || clock !== this.next[writer.index]) {
      this.problem ??= `got clock ${clock} where ${writer && this.next[writer.index]} comes next`
      return
    }
    this.next[writer.index] += count
    for (let i = 0; i < count; i += 1) this.latencies.add(now - writer.sentAt[clock + i], now)
  }
}

/** When who sends: every writer at an even pace, out of step with the others. */
function sendTimes(writers, updatesPerWriter, seconds) {
  const periodMs = (seconds * 1000) / updatesPerWriter
  const times = writers.flatMap((writer, index) => {
    const phase = (periodMs * index) / writers.length
    return Array.from({ length: updatesPerWriter }, (_, i) => ({ at: phase + i * periodMs, writer }))
  })
  return times.sort((a, b) => a.at - b.at)
}

async function send(schedule) {
  const startedAt = performance.now()
  let next = 0
  while (next < schedule.length) {
    const now = performance.now() - startedAt
    while (next < schedule.length && schedule[next].at <= now) schedule[next++].writer.sendNext()
    // A timer rather than a spin, so that the generator's CPU time says how busy it really is.
    if (next < schedule.length) await sleep(Math.max(1, schedule[next].at - (performance.now() - startedAt)))
  }
  return { startedAt, sendMs: performance.now() - startedAt }
}

/** What is wrong after a load; nothing when every client has everything and the server tells the same. */
async function verify(rooms, port) {
  const failures = []
  for (const room of rooms) {
    for (const client of room.clients) {
      if (client.problem !== null) failures.push(client.problem)
      if (client.missing() > 0) failures.push(`${client.missing()} updates did not reach a client`)
    }
    if (failures.length > 0) continue
    const expected = textOf(room.writers.map(writer => Y.encodeStateAsUpdate(writer.doc)))
    if (textOf(room.clients.at(-1).kept) !== expected) failures.push('a client has another text')
    if (textOf([await joinFresh(port, room.path)]) !== expected) failures.push('a new client gets another text')
  }
  return [...new Set(failures)]
}

async function joinFresh(port, path) {
  let update = null
  const onMessage = (bytes, start, end) => {
    if (bytes[start] !== SYNC || bytes[start + 1] !== STEP_2) return
    update = decoding.readVarUint8Array(decoding.createDecoder(Uint8Array.prototype.slice.call(bytes, start + 2, end)))
  }
  const ignore = () => undefined
  const socket = await openSocket({ port, path, onOpen: ignore, onMessage, onClose: ignore })
  socket.write(emptyStep1)
  await until(() => update !== null, `a new client of ${path} is synced`, CONNECT_MS_MAX)
  socket.close()
  return update
}

function textOf(updates) {
  const doc = new Y.Doc()
  for (const update of updates) Y.applyUpdate(doc, update)
  return doc.getText(TEXT).toString()
}

function syncMessage(kind, update) {
  const encoder = encoding.createEncoder()
  encoding.writeVarUint(encoder, SYNC)
  encoding.writeVarUint(encoder, kind)
  encoding.writeVarUint8Array(encoder, update)
  return Buffer.from(encoding.toUint8Array(encoder))
}

function varUint(cursor) {
  let value = 0
  let factor = 1
  for (;;) {
    const byte = cursor.bytes[cursor.at++]
    value += (byte & 127) * factor
    if (byte < 128) return value
    factor *= 128
  }
}
