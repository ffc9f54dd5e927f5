// A page with the package behind a line with weather, and somebody behind a good one.

import assert from 'node:assert/strict'

import { until } from '../harness/until.mjs'

/** What a browser itself prints when it has no connection. */
const SAID_BY_BROWSER = /WebSocket|net::ERR|to the server at wss?:|was interrupted/

/** Somebody in another browser, next to the relay, who is in many rooms at once. */
export class Friend {
  static async open(browser, url, relayUrl) {
    const page = await (await browser.newContext()).newPage()
    await page.goto(url)
    await page.waitForFunction(() => 'coweave' in window)
    await page.evaluate(relay => {
      window.client = window.coweave.connect(relay)
      window.texts = {}
    }, relayUrl)
    const self = new Friend()
    self.page = page
    return self
  }

  /** Joins a room, and stays in it. */
  async join(name) {
    await this.page.evaluate(async name => {
      const room = window.client.room(name)
      await room.loaded
      window.texts[name] = room.doc.text('body')
    }, name)
    return {
      content: () => this.page.evaluate(name => window.texts[name].toString(), name),
      type: words => this.page.evaluate(([name, words]) => {
        const text = window.texts[name]
        text.insert(text.length, words)
      }, [name, words]),
      untilContent: content => until(
        () => this.page.evaluate(([name, content]) => window.texts[name].toString() === content, [name, content]),
        `the friend has ${content.slice(0, 80)}`,
      ),
      /** When this content arrives, as of `Date.now()`; to be asked before it does. */
      arrival: content => this.page.evaluate(([name, content]) => new Promise(resolve => {
        const text = window.texts[name]
        const look = () => {
          if (text.toString() === content) resolve(Date.now())
        }
        text.subscribe(look)
        look()
      }), [name, content]),
    }
  }
}

/** A page with one room. */
export class WeatherPage {
  #problems = []
  #place

  /** Opens a page in this context that joins a room. */
  static async open(context, url, relayUrl, roomName) {
    const self = new WeatherPage()
    const page = await context.newPage()
    self.page = page
    const note = text => {
      if (!SAID_BY_BROWSER.test(text)) self.#problems.push(text)
    }
    // Firefox calls a connection that fails an error of the page.
    page.on('pageerror', error => note(String(error)))
    page.on('console', message => {
      if (['error', 'warning'].includes(message.type())) note(message.text())
    })
    await page.goto(url)
    await self.#join(relayUrl, roomName)
    return self
  }

  async #join(relayUrl, roomName) {
    this.#place = [relayUrl, roomName]
    await this.page.waitForFunction(() => 'coweave' in window)
    await this.page.evaluate(async ([relay, name]) => {
      const room = window.coweave.connect(relay).room(name)
      await room.loaded
      const seen = [room.status.state]
      room.on('status', status => seen.push(status.state))
      Object.assign(window, { room, text: room.doc.text('body'), seen })
    }, this.#place)
  }

  /** Loads the page anew, and joins the same room. */
  async reload() {
    await this.page.reload()
    await this.#join(...this.#place)
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

  /**
   * Does something; the answer is how many milliseconds after it is done the app is told that the line is dead, as the
   * page measures, and how many a timer of five seconds took there.
   */
  noticesAfter(what, given) {
    return this.page.evaluate(async ([what, given]) => {
      const { room, text } = window
      const acts = {
        edit: () => text.insert(text.length, given),
        presence: () => room.presence.set({ name: given }),
        // It is answered when the line is there again.
        flush: () => void room.flush(),
        'come back': () => {
          delete document.visibilityState
          document.dispatchEvent(new Event('visibilitychange'))
        },
        // Something happens to the page.
        nothing: () => undefined,
        'turn the clock': () => window.turnClocks({ wall: given }),
      }
      const measure = performance.now.bind(performance)
      const isTold = new Promise(resolve => {
        room.on('status', ({ state }) => {
          if (state !== 'live') resolve(measure())
        })
      })
      acts[what]()
      // What is done in this turn is sent with its end.
      await new Promise(resolve => setTimeout(resolve))
      const since = measure()
      const fiveSeconds = new Promise(resolve => setTimeout(() => resolve(measure() - since), 5_000))
      return { took: await isTold - since, fiveSeconds: await fiveSeconds }
    }, [what, given])
  }

  /** Asks for a flush; the answer tells whether it was said to be done. */
  async flush() {
    await this.page.evaluate(() => {
      window.isFlushed = false
      window.room.flush().then(() => (window.isFlushed = true))
    })
    return () => this.page.evaluate(() => window.isFlushed)
  }

  /** Ends as when its process dies: without a word to anybody. */
  async crash() {
    const cdp = await this.page.context().newCDPSession(this.page)
    const crashed = new Promise(resolve => this.page.once('crash', resolve))
    // It is not answered any more.
    cdp.send('Page.crash').catch(() => undefined)
    await crashed
  }

  untilState(state) {
    return until(async () => (await this.state()) === state, `the room is ${state}`)
  }

  /** When the room is live again, as of `Date.now()`; to be asked before it can be. */
  backAt() {
    return this.page.evaluate(() => new Promise(resolve => {
      const look = ({ state }) => {
        if (state === 'live') resolve(Date.now())
      }
      window.room.on('status', look)
      look(window.room.status)
    }))
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

  /** How many seconds of a processor the page has worked so far. */
  async work() {
    this.cdp ??= await this.page.context().newCDPSession(this.page)
    await this.cdp.send('Performance.enable', { timeDomain: 'threadTicks' })
    const { metrics } = await this.cdp.send('Performance.getMetrics')
    return metrics.find(metric => metric.name === 'TaskDuration').value
  }

  /** Nothing went wrong that the page had to catch. */
  assertNoProblem() {
    assert.deepEqual(this.#problems, [])
  }
}
