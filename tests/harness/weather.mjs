// A line to a relay with weather of its own: clear, or one of many ways in which servers and networks misbehave.

import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'

const WEBSOCKET_ID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
const TEXT = 1
const BINARY = 2
const CLOSE = 8

/** The numbers of messages in `coweave.v1`, as far as they are spoken here. */
const WELCOME = 2
const JOINED = 4
const SYNC = 6
const UPDATE = 8
const ACK = 9
const PRESENCE = 12
const ERROR = 13

/**
 * A server that looks like a relay. What it does with a connection is decided when the head of the request is
 * there; a change of the weather ends the connections of before, unless they are to go on.
 */
export class Weather {
  /** How many connections were made so far. */
  attempts = 0
  #weather = clear
  #server
  #relay
  #connections = new Set()

  static async start(relay) {
    const weather = new Weather()
    weather.#relay = relay
    weather.#server = createServer(socket => weather.#accept(socket))
    weather.#server.listen(0, '127.0.0.1')
    await once(weather.#server, 'listening')
    return weather
  }

  get wsUrl() {
    return `ws://127.0.0.1:${this.#server.address().port}`
  }

  /** Changes the weather: connections are cut, and newer ones have the new weather. */
  become(weather) {
    this.#weather = weather
    for (const connection of this.#connections) connection.cut()
  }

  /** From here on neither side of the present connections hears anything of the other, not even its end. */
  swallow() {
    for (const connection of this.#connections) connection.swallow()
  }

  close() {
    for (const connection of this.#connections) connection.cut()
    this.#server.close()
  }

  #accept(socket) {
    this.attempts += 1
    const connection = new Connection(socket, this.#relay, () => this.#connections.delete(connection))
    this.#connections.add(connection)
    let head = Buffer.alloc(0)
    const gather = bytes => {
      head = Buffer.concat([head, bytes])
      if (!head.includes('\r\n\r\n')) return
      socket.off('data', gather)
      socket.pause()
      connection.begin(head, this.#weather)
    }
    socket.on('data', gather)
  }
}

/** One connection of a browser. */
class Connection {
  /** What the browser has sent first. */
  head
  /** Its bytes arrive here until somebody else wants them. */
  near
  #far
  #relay
  #timers = []

  constructor(near, relay, onEnd) {
    this.near = near
    this.#relay = relay
    near.on('error', () => undefined)
    near.on('close', () => {
      this.#timers.forEach(clearInterval)
      this.#far?.destroy()
      onEnd()
    })
  }

  begin(head, weather) {
    this.head = head
    weather(this)
    this.near.resume()
  }

  cut() {
    this.near.destroy()
  }

  swallow() {
    const ends = [this.near, this.#far].filter(Boolean)
    for (const end of ends) {
      end.unpipe()
      end.removeAllListeners('data').removeAllListeners('end')
      end.on('data', () => undefined)
    }
  }

  /** Connects the browser with the real relay. */
  reachRelay() {
    this.#far = connect(this.#relay.port, '127.0.0.1')
    this.#far.on('error', () => undefined)
    this.#far.on('close', () => this.near.destroy())
    this.#far.write(this.head)
    this.near.pipe(this.#far)
    return this.#far
  }

  /** Agrees to speak WebSocket, and `coweave.v1`. */
  upgrade() {
    const key = /sec-websocket-key: *(\S+)/i.exec(this.head.toString('latin1'))[1]
    const accept = createHash('sha1').update(key + WEBSOCKET_ID).digest('base64')
    this.near.write('HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n'
      + `sec-websocket-accept: ${accept}\r\nsec-websocket-protocol: coweave.v1\r\n\r\n`)
    return this
  }

  /** Calls when the browser has said something: its hello. */
  whenGreeted(answer) {
    this.upgrade().near.once('data', answer)
  }

  every(ms, call) {
    this.#timers.push(setInterval(call, ms))
  }

  frame(payload, opcode = BINARY) {
    this.near.write(frame(payload, opcode))
  }
}

// ---- the bytes ------------------------------------------------------------------------------------

function frame(payload, opcode = BINARY) {
  const length = payload.length
  const head = length < 126 ? Buffer.from([0x80 | opcode, length]) : Buffer.from([0x80 | opcode, 126, length >> 8, length & 255])
  return Buffer.concat([head, payload])
}

function varUint(number) {
  const bytes = []
  for (; number > 127; number = Math.floor(number / 128)) bytes.push(0x80 | number % 128)
  return Buffer.from([...bytes, number])
}

function varBytes(bytes) {
  return Buffer.concat([varUint(bytes.length), Buffer.from(bytes)])
}

function message(type, channel, ...body) {
  return Buffer.concat([varUint(type), varUint(channel), varBytes(Buffer.concat(body.map(part => Buffer.from(part))))])
}

function welcomeOf(version) {
  const limits = [8 << 20, 4 << 20, 60_000].map(varUint)
  return message(WELCOME, 0, varUint(version), varUint(0), ...limits, varBytes('a relay'))
}

const noMessage = message(99, 1, [1, 2, 3])
const welcome = welcomeOf(1)
const joined = message(JOINED, 1, Buffer.alloc(16, 7), varUint(1), varUint(0), varUint(0), varBytes([0]))

/** Bytes that look random and are the same in every run. */
function noise(length, seed) {
  return Buffer.from(Array.from({ length }, () => (seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31) >> 16 & 255))
}

// ---- weathers ---------------------------------------------------------------------------------------

export function clear(connection) {
  connection.reachRelay().pipe(connection.near)
}

/** A relay of a later version in front of ours: it says what nobody knows yet, and more than is known. */
export function newer(connection) {
  translate(connection, ofLaterVersion)
}

/** One of the first version: it knows nothing of what came to the protocol since, and so does not answer it. */
export function older(connection) {
  translate(connection, ofFirstVersion)
}

/** Passes on what our relay says, in other words. */
function translate(connection, change) {
  let rest = Buffer.alloc(0)
  let isUpgraded = false
  connection.reachRelay().on('data', bytes => {
    rest = Buffer.concat([rest, bytes])
    if (!isUpgraded) {
      const end = rest.indexOf('\r\n\r\n') + 4
      if (end < 4) return
      connection.near.write(rest.subarray(0, end))
      rest = rest.subarray(end)
      isUpgraded = true
    }
    for (;;) {
      const [payload, opcode, length] = cutFrame(rest)
      if (payload === null) return
      rest = rest.subarray(length)
      const changed = opcode === BINARY ? change(payload) : payload
      if (opcode !== BINARY || changed.length > 0) connection.frame(changed, opcode)
    }
  })
}

function cutFrame(bytes) {
  if (bytes.length < 2) return [null]
  const wide = { 126: 2, 127: 8 }[bytes[1]] ?? 0
  if (bytes.length < 2 + wide) return [null]
  const length = wide === 0 ? bytes[1] : bytes.readUIntBE(2 + Math.max(0, wide - 6), Math.min(6, wide))
  const end = 2 + wide + length
  return bytes.length < end ? [null] : [bytes.subarray(2 + wide, end), bytes[0] & 15, end]
}

/** Messages whose bodies are not themselves made of one value: those grow at their end. */
const GROWING = new Set([WELCOME, JOINED, UPDATE, ACK, ERROR])

function ofLaterVersion(payload) {
  const messages = [noMessage]
  for (const [type, channel, body] of cutMessages(payload)) {
    messages.push(message(type, channel, body, GROWING.has(type) ? [7, 7, 7] : []), noMessage)
  }
  return Buffer.concat(messages)
}

/** Messages above this came later; so did the life of a token in the welcome, and the role in joined. */
const OF_FIRST_VERSION_MAX = 15
const GROWN = new Set([WELCOME, JOINED])

function ofFirstVersion(payload) {
  const known = [...cutMessages(payload)].filter(([type]) => type <= OF_FIRST_VERSION_MAX)
  return Buffer.concat(known.map(([type, channel, body]) => (
    message(type, channel, GROWN.has(type) ? body.subarray(0, -1) : body)
  )))
}

function* cutMessages(payload) {
  for (let at = 0; at < payload.length;) {
    const read = () => {
      let number = 0
      for (let factor = 1; ; factor *= 128) {
        const byte = payload[at++]
        number += (byte & 127) * factor
        if (byte < 128) return number
      }
    }
    const [type, channel, length] = [read(), read(), read()]
    yield [type, channel, payload.subarray(at, at += length)]
  }
}

/** A relay that does not speak the version of this client any more, or not yet. */
export function unsupported(connection) {
  connection.whenGreeted(() => {
    connection.frame(message(ERROR, 0, varBytes('protocol.unsupported'), varBytes('this relay speaks versions 7 to 9'), [0]))
    connection.frame(Buffer.from([0x11, 0x30]), CLOSE)
  })
}

/** One from the time before this client's first version. */
export function outdated(connection) {
  connection.whenGreeted(() => connection.frame(welcomeOf(0)))
}

export function refused(connection) {
  connection.cut()
}

/** The page of a hotel, whatever is asked for. */
export function portal(connection) {
  const page = '<!doctype html><title>Welcome to our hotel</title><h1>Please log in</h1>'
  connection.near.end(`HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: ${page.length}\r\n\r\n${page}`)
}

export function redirect(connection) {
  connection.near.end('HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:9/login\r\ncontent-length: 0\r\n\r\n')
}

/** Not even the upgrade is answered. */
export function deaf(connection) {
  connection.near.on('data', () => undefined)
}

/** The socket opens, and that was all. */
export function mute(connection) {
  connection.upgrade().near.on('data', () => undefined)
}

export function closing(connection) {
  connection.whenGreeted(() => {
    connection.frame(welcome)
    connection.frame(Buffer.from([0x03, 0xf4]), CLOSE)
    connection.near.end()
  })
}

/** Everything looks well, and then the connection is over. */
export function closingInStep(connection) {
  connection.whenGreeted(() => {
    connection.frame(welcome)
    connection.near.once('data', () => connection.cut())
  })
}

export function noisy(connection) {
  connection.whenGreeted(() => {
    for (let i = 0; i < 20; i += 1) connection.frame(noise(10 + i * 50, i))
  })
}

/** Noise where WebSocket frames should be. */
export function noisyLine(connection) {
  connection.whenGreeted(() => connection.near.write(noise(2_000, 5)))
}

export function talkative(connection) {
  connection.whenGreeted(() => connection.frame(Buffer.from('Who are you?'), TEXT))
}

/** A message is cut, in a frame that is whole. */
export function cutMessage(connection) {
  connection.whenGreeted(() => connection.frame(welcome.subarray(0, welcome.length - 4)))
}

/** A frame is cut, and nothing follows. */
export function cutFrameEnd(connection) {
  connection.whenGreeted(() => connection.near.write(frame(welcome).subarray(0, 9)))
}

/** Messages that can be read, none at the right time. */
export function outOfTurn(connection) {
  const turns = [
    [joined],
    [welcome, message(SYNC, 1, [0]), message(ACK, 1, varUint(9), varUint(9), varUint(9))],
    [welcome, welcome],
    [message(PRESENCE, 0, [0])],
    [welcome, message(1, 0, varUint(1), varUint(0), Buffer.alloc(16), [0], [0])],
  ]
  const turn = outOfTurn.count++ % turns.length
  connection.whenGreeted(() => turns[turn].forEach(said => connection.frame(said)))
}
outOfTurn.count = 0

/** It never stops, and nobody understands a word. */
export function babbling(connection) {
  connection.whenGreeted(() => connection.every(10, () => connection.frame(noMessage)))
}
