// A WebSocket client that costs the load generator next to nothing: frames are built beforehand, and
// what arrives is looked at in place. Only what the benchmark needs of RFC 6455.

import { randomBytes } from 'node:crypto'
import { connect } from 'node:net'

const OPCODE_CONTINUATION = 0
const OPCODE_BINARY = 2
const OPCODE_CLOSE = 8
const OPCODE_PING = 9
const OPCODE_PONG = 10
const FINAL = 0x80
const MASKED = 0x80
const READ_BYTES = 256 * 1024

// Node reads into it and hands it over in the same turn, so all sockets can share it.
const readBuffer = Buffer.allocUnsafe(READ_BYTES)

/** A masked frame with the mask 0, under which the payload stays as it is. */
export function clientFrame(payload, opcode = OPCODE_BINARY) {
  const { length } = payload
  let header
  if (length < 126) {
    header = Buffer.from([FINAL | opcode, MASKED | length, 0, 0, 0, 0])
  } else if (length < 1 << 16) {
    header = Buffer.from([FINAL | opcode, MASKED | 126, length >> 8, length & 255, 0, 0, 0, 0])
  } else {
    throw new Error(`The benchmark sends no frames of ${length} bytes.`)
  }
  return Buffer.concat([header, payload])
}

/**
 * Opens a socket. `onOpen(socket)` is called before any message, which may come with the handshake;
 * `onMessage(bytes, start, end)` gets each binary message in place: the bytes are overwritten as soon
 * as it returns. `onClose(reason)` is called when the server ends the connection.
 */
export function openSocket({ port, path, onOpen, onMessage, onClose }) {
  return new Promise((resolve, reject) => {
    const parser = new FrameParser(onMessage, reply => socket.write(reply))
    let isOpen = false
    let handshake = ''
    const socket = connect({
      host: '127.0.0.1',
      port,
      noDelay: true,
      onread: {
        buffer: readBuffer,
        callback(size, bytes) {
          if (isOpen) return parser.read(bytes, 0, size)
          handshake += bytes.latin1Slice(0, size)
          const end = handshake.indexOf('\r\n\r\n')
          if (end === -1) return true
          if (!handshake.startsWith('HTTP/1.1 101')) {
            socket.destroy()
            reject(new Error(`The server refused the WebSocket: ${handshake.slice(0, handshake.indexOf('\r\n'))}`))
            return true
          }
          isOpen = true
          const handle = { write: frame => socket.write(frame), close: () => close(socket) }
          onOpen(handle)
          resolve(handle)
          const first = Buffer.from(handshake.slice(end + 4), 'latin1')
          return parser.read(first, 0, first.length)
        },
      },
    })
    socket.once('connect', () => socket.write(upgradeRequest(port, path)))
    socket.once('error', error => (isOpen ? onClose(error.message) : reject(error)))
    socket.once('close', () => onClose('closed'))
  })
}

function close(socket) {
  socket.removeAllListeners('close').removeAllListeners('error').on('error', () => undefined)
  socket.end(clientFrame(Buffer.from([1000 >> 8, 1000 & 255]), OPCODE_CLOSE))
}

function upgradeRequest(port, path) {
  return [
    `GET ${path} HTTP/1.1`, `Host: 127.0.0.1:${port}`, 'Connection: Upgrade', 'Upgrade: websocket',
    `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}`, 'Sec-WebSocket-Version: 13', '', '',
  ].join('\r\n')
}

/** Cuts what a server sends into messages; keeps a copy only of a frame that is not complete yet. */
class FrameParser {
  #rest = null

  constructor(onMessage, reply) {
    this.onMessage = onMessage
    this.reply = reply
  }

  read(chunk, start, end) {
    let bytes = chunk
    if (this.#rest !== null) {
      bytes = Buffer.concat([this.#rest, chunk.subarray(start, end)])
      this.#rest = null
      start = 0
      end = bytes.length
    }
    while (start < end) {
      const next = this.#frame(bytes, start, end)
      if (next === start) break
      start = next
    }
    if (start < end) this.#rest = Buffer.from(bytes.subarray(start, end))
    return true
  }

  #frame(bytes, start, end) {
    if (end - start < 2) return start
    let payload = start + 2
    let length = bytes[start + 1]
    if (length === 126) {
      if (end - start < 4) return start
      length = bytes.readUInt16BE(payload)
      payload += 2
    } else if (length === 127) {
      if (end - start < 10) return start
      length = Number(bytes.readBigUInt64BE(payload))
      payload += 8
    }
    const next = payload + length
    if (next > end) return start
    const opcode = bytes[start] & 15
    if (opcode === OPCODE_BINARY && (bytes[start] & FINAL) !== 0) this.onMessage(bytes, payload, next)
    else if (opcode === OPCODE_PING) this.reply(clientFrame(Buffer.from(bytes.subarray(payload, next)), OPCODE_PONG))
    else if (opcode === OPCODE_BINARY || opcode === OPCODE_CONTINUATION) throw new Error('The benchmark reads no fragmented messages.')
    return next
  }
}
