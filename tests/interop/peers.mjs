// The clients of these tests: unmodified `yjs` with two generations of `y-websocket`, and our own SDK.

import { createRequire } from 'node:module'

import WebSocket from 'ws'

import { until } from '../harness/until.mjs'

// y-websocket 1.5 cannot be imported by Node, only required; whoever requires one has to require all, or
// there are two copies of yjs that do not know each other's types.
const require = createRequire(import.meta.url)
export const Y = require('yjs')
const PROVIDERS = {
  'y-websocket 1.5': require('y-websocket-1').WebsocketProvider,
  'y-websocket 3.1': require('y-websocket-3').WebsocketProvider,
}

// Every y-websocket provider listens for the end of the process.
process.setMaxListeners(0)

export const versions = Object.keys(PROVIDERS)

/** Opens a room with a y-websocket client, and waits until it says that it is synced. */
export async function openYjs(version, relay, roomName) {
  const peer = new YjsPeer(version, relay, roomName)
  await until(() => peer.provider.synced, `${version} is synced with ${roomName}`)
  return peer
}

export class YjsPeer {
  doc = new Y.Doc()
  /** What its provider said about the connection, in order. */
  connection = []

  constructor(version, relay, roomName) {
    this.version = version
    this.provider = new PROVIDERS[version](relay.wsUrl, roomName, this.doc, {
      WebSocketPolyfill: WebSocket,
      // Peers of one process would talk past the relay.
      disableBc: true,
    })
    this.text = this.doc.getText('body')
    this.provider.on('status', ({ status }) => this.connection.push(status))
    this.provider.on('connection-close', event => this.connection.push(`closed ${event?.code}`))
  }

  get awareness() {
    return this.provider.awareness
  }

  content() {
    return this.text.toString()
  }

  close() {
    this.provider.destroy()
    this.doc.destroy()
  }
}

/** Opens a room with our SDK, and waits until it is synced. */
export async function openCoweave(relay, roomName) {
  const { connect } = await import('coweave')
  const client = connect(relay.wsUrl)
  const peer = new CoweavePeer(client, client.room(roomName))
  await peer.room.synced
  return peer
}

class CoweavePeer {
  version = 'coweave'
  peers = []

  constructor(client, room) {
    this.client = client
    this.room = room
    this.text = room.doc.text('body')
    room.presence.subscribe(peers => { this.peers = peers })
  }

  content() {
    return this.text.toString()
  }

  close() {
    this.room.dispose()
    this.client.dispose()
  }
}

/** Waits until all peers show the same text, and answers with it. */
export async function converged(peers, waitMsMax = 30_000) {
  const shown = () => peers.map(peer => `${peer.version}: ${JSON.stringify(peer.content().slice(0, 300))}`).join('\n')
  await until(() => new Set(peers.map(peer => peer.content())).size === 1, () => `all peers show the same text\n${shown()}`, waitMsMax)
  return peers[0].content()
}
