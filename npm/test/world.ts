// What the tests share: clients that end with their test, a relay of their own, and waiting.

import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { type Client, type ConnectOptions, type Room, type WebSocketConstructor, connect } from 'coweave'
import { WebSocket } from 'ws'

/** Nobody listens here. */
export const NOWHERE = 'ws://127.0.0.1:9'

/** Longer than anything takes, on a busy machine. */
const WAIT_MS_MAX = 60_000

/** The relay to test against; without it the tests that need one are skipped. */
export const RELAY: string | undefined = process.env['COWEAVE_RELAY']
export const needsRelay: { readonly skip: string | false } = {
  skip: RELAY === undefined && 'COWEAVE_RELAY does not name a relay binary: NOT TESTED',
}

export function client(t: TestContext, url: string, options?: ConnectOptions): Client {
  const made = connect(url, options)
  t.after(() => {
    made.dispose()
  })
  return made
}

/** A loaded room of a client of its own. */
export async function open(t: TestContext, url: string = NOWHERE, name = 'room'): Promise<Room> {
  const room = client(t, url).room(name)
  await room.loaded
  return room
}

/** A socket that tells of each frame before anybody hears of it. */
export function tappedSocket(onFrame: { sent?(frame: Uint8Array): void; received?(): void }): WebSocketConstructor {
  return class extends WebSocket {
    override send(frame: Uint8Array): void {
      onFrame.sent?.(frame)
      super.send(frame)
    }

    override emit(event: string | symbol, ...values: unknown[]): boolean {
      if (event === 'message') onFrame.received?.()
      return super.emit(event, ...values)
    }
  }
}

/** Waits until something is true. */
export async function until(what: string, is: () => boolean): Promise<void> {
  const end = Date.now() + WAIT_MS_MAX
  while (!is()) {
    if (Date.now() > end) throw new Error(`not within ${String(WAIT_MS_MAX)} ms: ${what}`)
    await new Promise(resolve => setTimeout(resolve, 5))
  }
}

/** Lets microtasks run. */
export function turn(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}

/** Waits until the garbage collector has taken all of these. */
export async function untilCollected(what: string, refs: readonly WeakRef<object>[]): Promise<void> {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  await until(`${what} is collected`, () => {
    collect()
    return refs.every(ref => ref.deref() === undefined)
  })
}

/** Ports that systems hand out to nobody: they stay free while their relay is away. */
const PORTS = { first: 28_000, count: 4_000 }

async function lastingPort(): Promise<number> {
  for (;;) {
    const port = PORTS.first + Math.floor(Math.random() * PORTS.count)
    const isFree = await new Promise<boolean>(resolve => {
      const server = createServer()
      server.once('error', () => {
        resolve(false)
      })
      server.listen(port, '127.0.0.1', () => server.close(() => {
        resolve(true)
      }))
    })
    if (isFree) return port
  }
}

/** A relay of its own for a test. */
export class Relay {
  readonly url: string
  readonly #port: number
  readonly #folder: string
  readonly #adminToken = 'a-token-for-the-tests'
  readonly #settings: Readonly<Record<string, string>>
  #process: ChildProcess | undefined

  private constructor(port: number, folder: string, settings: Readonly<Record<string, string>>) {
    this.url = `ws://127.0.0.1:${String(port)}`
    this.#port = port
    this.#folder = folder
    this.#settings = settings
  }

  static async start(t: TestContext, settings: Readonly<Record<string, string>> = {}): Promise<Relay> {
    const folder = await mkdtemp(join(tmpdir(), 'coweave-'))
    const relay = new Relay(await lastingPort(), folder, settings)
    t.after(async () => {
      await relay.stop()
      await rm(folder, { recursive: true, force: true })
    })
    await writeFile(join(folder, 'admin-token'), relay.#adminToken)
    await relay.start()
    return relay
  }

  /** Deletes a room, as whoever runs the relay can. */
  async deleteRoom(name: string): Promise<void> {
    const url = `${this.url.replace('ws', 'http')}/rooms/${encodeURIComponent(name)}`
    const headers = { authorization: `Bearer ${this.#adminToken}` }
    const { status } = await fetch(url, { method: 'DELETE', headers })
    if (status !== 204) throw new Error(`the room is not deleted: ${String(status)}`)
  }

  /** Comes back with nothing, as after a restore of the wrong backup. */
  async loseData(): Promise<void> {
    await this.stop()
    await rm(join(this.#folder, 'data'), { recursive: true, force: true })
    await this.start()
  }

  async start(): Promise<void> {
    if (RELAY === undefined) throw new Error('COWEAVE_RELAY is not set')
    const env = {
      PATH: process.env['PATH'],
      COWEAVE_LISTEN: `127.0.0.1:${String(this.#port)}`,
      COWEAVE_DATA_DIR: join(this.#folder, 'data'),
      COWEAVE_ADMIN_TOKEN_FILE: join(this.#folder, 'admin-token'),
      ...this.#settings,
    }
    const child = spawn(RELAY, [], { env, stdio: ['ignore', 'ignore', 'pipe'] })
    this.#process = child
    await new Promise<void>((resolve, reject) => {
      let said = ''
      const look = (text: string): void => {
        said += text
        if (!said.includes('listening on http://')) return
        child.stderr.off('data', look).resume()
        resolve()
      }
      child.stderr.setEncoding('utf8').on('data', look)
      child.once('exit', () => {
        reject(new Error(`the relay ended before it listened: ${said}`))
      })
    })
  }

  /** Stops it at once, as a crash would. */
  async stop(): Promise<void> {
    const process = this.#process
    this.#process = undefined
    if (process === undefined) return
    const ended = new Promise(resolve => process.once('exit', resolve))
    process.kill('SIGKILL')
    await ended
  }
}
