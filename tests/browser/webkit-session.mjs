// A WebKit of the system, through its own driver: the few calls of WebDriver (W3C) that a smoke test needs.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { lastingPort } from '../harness/port.mjs'
import { until } from '../harness/until.mjs'

const START_MS_MAX = 60_000

/** A browser with one window at first. */
export class WebKitSession {
  #url
  #end

  /** Starts a display, the driver and the browser; all end with the test run's `after`. */
  static async start() {
    const self = new WebKitSession()
    const home = await mkdtemp(join(tmpdir(), 'coweave-webkit-'))
    const children = []
    self.#end = async () => {
      for (const child of children.reverse()) {
        // A group of its own: what the driver has started goes with it.
        const exited = child.exitCode ?? once(child, 'exit')
        try {
          process.kill(-child.pid, 'SIGKILL')
        } catch {
          // It is gone already.
        }
        await exited
      }
      await rm(home, { recursive: true, force: true, maxRetries: 5 })
    }
    try {
      const display = spawn('Xvfb', ['-displayfd', '3', '-screen', '0', '1280x800x24', '-nolisten', 'tcp'], {
        detached: true, stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
      })
      children.push(display)
      const [number] = await once(display.stdio[3], 'data')
      const port = await lastingPort()
      const driver = spawn(process.env.COWEAVE_WEBKIT_DRIVER ?? 'WebKitWebDriver', [`--port=${port}`], {
        detached: true,
        stdio: 'ignore',
        env: { ...process.env, DISPLAY: `:${String(number).trim()}`, HOME: home },
      })
      children.push(driver)
      self.#url = `http://127.0.0.1:${port}`
      await until(() => fetch(`${self.#url}/status`).then(() => true, () => false), 'the driver listens', START_MS_MAX)
      const { sessionId } = await self.#ask('POST', '/session', { capabilities: {} })
      self.#url += `/session/${sessionId}`
      await self.#ask('POST', '/timeouts', { script: START_MS_MAX })
    } catch (error) {
      await self.#end()
      throw error
    }
    return self
  }

  /** Ends the browser, the driver and the display. */
  async close() {
    await this.#ask('DELETE', '', undefined).catch(() => undefined)
    await this.#end()
  }

  /** Loads a page in the window in front. */
  goto(url) {
    return this.#ask('POST', '/url', { url })
  }

  /** Loads it again. */
  reload() {
    return this.#ask('POST', '/refresh', {})
  }

  /** Runs a function of the page, which may be async, with JSON arguments; answers with what it gives. */
  async evaluate(run, ...args) {
    const script = `
      const done = arguments[arguments.length - 1]
      Promise.resolve((${run})(...[...arguments].slice(0, -1)))
        .then(value => done({ value }), error => done({ error: String(error) }))`
    const { value, error } = await this.#ask('POST', '/execute/async', { script, args })
    if (error !== undefined) throw new Error(error)
    return value
  }

  /** The window in front. */
  window() {
    return this.#ask('GET', '/window')
  }

  /** Opens a tab, which comes to the front; answers with what `show` takes. */
  async openTab() {
    const { handle } = await this.#ask('POST', '/window/new', { type: 'tab' })
    await this.show(handle)
    return handle
  }

  /** Brings a tab to the front. */
  show(handle) {
    return this.#ask('POST', '/window', { handle })
  }

  /** Closes the tab in front. */
  closeTab() {
    return this.#ask('DELETE', '/window')
  }

  async #ask(method, path, body) {
    const response = await fetch(this.#url + path, { method, ...body && { body: JSON.stringify(body) } })
    const { value } = await response.json()
    if (!response.ok) throw new Error(`${method} ${path}: ${value?.message ?? response.status}`)
    return value
  }
}
