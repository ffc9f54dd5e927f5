// Starts the relay under test on a port and folder of its own, and ends it the way a test needs.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { lastingPort } from './port.mjs'

const START_MS_MAX = 60_000
const STOP_MS_MAX = 20_000
const LOG_LINES_MAX = 200

const running = new Set()
process.on('exit', () => running.forEach(child => child.kill('SIGKILL')))

/**
 * A relay process that keeps its data folder and its port over restarts.
 * `COWEAVE_RELAY` names the binary.
 */
export class Relay {
  #child = null
  #log = []
  #dataDirIsOurs = false

  constructor({ dataDir = null, port = 0, args = [], prefix = [] } = {}) {
    this.dataDir = dataDir
    this.port = port
    this.args = args
    this.prefix = prefix
  }

  static async start(options) {
    const relay = new Relay(options)
    await relay.start()
    return relay
  }

  get httpUrl() {
    return `http://127.0.0.1:${this.port}`
  }

  get wsUrl() {
    return `ws://127.0.0.1:${this.port}`
  }

  get pid() {
    return this.#child?.pid ?? null
  }

  /** The last lines the relay printed, for the message of a failing test. */
  get log() {
    return this.#log.join('\n')
  }

  async start() {
    const binary = process.env.COWEAVE_RELAY
    if (!binary) throw new Error('Set COWEAVE_RELAY to the relay binary that is to be tested.')
    if (this.dataDir === null) {
      this.dataDir = await mkdtemp(join(tmpdir(), 'coweave-relay-'))
      this.#dataDirIsOurs = true
    }
    if (this.port === 0) this.port = await lastingPort()
    const listen = `127.0.0.1:${this.port}`
    const [command, ...args] = [
      ...this.prefix, binary, 'serve', '--listen', listen, '--data-dir', this.dataDir, ...this.args,
    ]
    const child = spawn(command, args, { env: plainEnvironment(), stdio: ['ignore', 'pipe', 'pipe'] })
    this.#child = child
    running.add(child)
    child.once('exit', () => running.delete(child))
    await this.#listens(child)
  }

  /** SIGKILL: nothing of the relay runs any more. */
  async kill() {
    await this.#end('SIGKILL')
  }

  /** SIGTERM: the relay drains; answers with its exit code. */
  async stop() {
    return this.#end('SIGTERM')
  }

  /** Ends the relay for good and removes its data. */
  async dispose() {
    await this.kill()
    if (this.#dataDirIsOurs) await rm(this.dataDir, { recursive: true, force: true })
  }

  async #end(signal) {
    const child = this.#child
    this.#child = null
    if (child === null || child.exitCode !== null || child.signalCode !== null) return child?.exitCode ?? null
    const exited = once(child, 'exit')
    child.kill(signal)
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX)
    const [code] = await exited
    clearTimeout(timer)
    return code
  }

  #listens(child) {
    return new Promise((resolve, reject) => {
      const fail = reason => {
        child.kill('SIGKILL')
        reject(new Error(`The relay ${reason}. It printed:\n${this.log}`))
      }
      const timer = setTimeout(() => fail(`was not ready after ${START_MS_MAX} ms`), START_MS_MAX)
      const onLine = line => {
        this.#log.push(line)
        if (this.#log.length > LOG_LINES_MAX) this.#log.shift()
        if (!line.includes('listening on http://')) return
        clearTimeout(timer)
        resolve()
      }
      eachLine(child.stdout, onLine)
      eachLine(child.stderr, onLine)
      child.once('error', error => fail(`could not be started (${error.message})`))
      child.once('exit', (code, signal) => {
        clearTimeout(timer)
        reject(new Error(`The relay ended with ${signal ?? `code ${code}`} before it was ready. It printed:\n${this.log}`))
      })
    })
  }
}

/** The environment without settings of the relay: what somebody works with must not reach the tests. */
function plainEnvironment() {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('COWEAVE_')))
}

function eachLine(stream, onLine) {
  let rest = ''
  stream.setEncoding('utf8')
  stream.on('data', text => {
    const lines = (rest + text).split('\n')
    rest = lines.pop()
    for (const line of lines) onLine(line)
  })
}
