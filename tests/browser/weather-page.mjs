// A page with the package behind a line with weather, and somebody behind a good one.

import assert from 'node:assert/strict'
import { fileURLToPath } from 'node:url'

import { until } from '../harness/until.mjs'
import { serveFolder } from './static-server.mjs'

const packageFolder = fileURLToPath(new URL('../../npm', import.meta.url))

/** Serves the package, from an address of its own. */
export async function servePackage() {
  return serveFolder(packageFolder, '<!doctype html><title>weather</title><link rel="icon" href="data:,">')
}

/** What a browser itself prints when it has no connection. */
const SAID_BY_BROWSER = /WebSocket|net::ERR|can’t establish a connection|was interrupted/

/** A page with one room. */
export class WeatherPage {
  #problems = []

  /** Opens a page in this context that joins a room. */
  static async open(context, origin, relayUrl, roomName) {
    const self = new WeatherPage()
    const page = await context.newPage()
    self.page = page
    page.on('pageerror', error => self.#problems.push(String(error)))
    page.on('console', message => {
      if (['error', 'warning'].includes(message.type()) && !SAID_BY_BROWSER.test(message.text())) {
        self.#problems.push(message.text())
      }
    })
    await page.goto(origin)
    await page.evaluate(async ([relay, name]) => {
      const { connect } = await import('/dist/web.js')
      const room = connect(relay).room(name)
      await room.loaded
      const seen = [room.status.state]
      room.on('status', status => seen.push(status.state))
      Object.assign(window, { room, text: room.doc.text('body'), seen })
    }, [relayUrl, roomName])
    return self
  }

  status() {
    return this.page.evaluate(() => ({ ...window.room.status, error: window.room.status.error?.code }))
  }

  async state() {
    return (await this.status()).state
  }

  content() {
    return this.page.evaluate(() => window.text.toString())
  }

  tier() {
    return this.page.evaluate(() => window.room.saved.tier)
  }

  type(words) {
    return this.page.evaluate(it => window.text.insert(window.text.length, it), words)
  }

  untilState(state, waitMsMax) {
    return until(async () => (await this.state()) === state, `the room is ${state}`, waitMsMax)
  }

  untilTier(tier) {
    return until(async () => (await this.tier()) === tier, `everything is ${tier}`)
  }

  untilContent(content) {
    return until(async () => (await this.content()) === content, `the text is ${content}`)
  }

  /** The states that the app was told since the last call. */
  told() {
    return this.page.evaluate(() => window.seen.splice(0))
  }

  /** How many seconds the page has worked so far. */
  async work() {
    this.cdp ??= await this.page.context().newCDPSession(this.page)
    await this.cdp.send('Performance.enable')
    const { metrics } = await this.cdp.send('Performance.getMetrics')
    return metrics.find(metric => metric.name === 'TaskDuration').value
  }

  /** Nothing went wrong that the page had to catch. */
  assertNoProblem() {
    assert.deepEqual(this.#problems, [])
  }
}
