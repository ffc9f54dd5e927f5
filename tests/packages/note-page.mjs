// A page of a consumer in a browser: what it loads, and the note that it opens.

import assert from 'node:assert/strict'

import { until } from '../harness/until.mjs'

/** A page with a browser context of its own, in which the package is imported, and no more. */
export class NotePage {
  #page
  #requests = []
  #sockets = []
  #problems = []

  constructor(page) {
    this.#page = page
    page.on('pageerror', error => this.#problems.push(String(error)))
    page.on('console', message => {
      const isFavicon = message.location().url.endsWith('/favicon.ico')
      if (['warning', 'error'].includes(message.type()) && !isFavicon) this.#problems.push(message.text())
    })
    page.on('request', request => this.#requests.push(request))
    page.on('websocket', socket => this.#sockets.push(socket.url()))
  }

  static async open(t, browser, url) {
    const context = await browser.newContext()
    t.after(() => context.close())
    await context.addInitScript(countWasm)
    const note = new NotePage(await context.newPage())
    await note.#page.goto(url)
    await note.#page.waitForFunction(() => 'openNote' in globalThis, null, { timeout: 60_000 }).catch(error => {
      throw new Error(`The page does not start: ${note.#problems.join('; ')}`, { cause: error })
    })
    return note
  }

  /** How often the page has asked the browser for wasm, as a file and as a module. */
  async wasmUses() {
    const files = this.#requests.filter(request => new URL(request.url()).pathname.endsWith('.wasm'))
    return { files: files.length, modules: await this.#page.evaluate(() => wasmModules) }
  }

  /** How many sockets to a relay the page has opened. */
  socketsTo(relay) {
    return this.#sockets.filter(url => url.startsWith(relay)).length
  }

  /** Asks the page itself. */
  evaluate(ask) {
    return this.#page.evaluate(ask)
  }

  async join(relay) {
    await this.#page.evaluate(async relay => {
      globalThis.body = await openNote(relay)
    }, relay)
  }

  async write(text) {
    await this.#page.evaluate(text => body.insert(body.length, text), text)
  }

  async untilText(text) {
    const read = () => this.#page.evaluate(() => body.toString())
    await until(async () => (await read()) === text, `the page shows ${JSON.stringify(text)}`)
  }

  async untilShown(selector, text) {
    await this.#page.locator(selector, { hasText: text }).waitFor()
  }

  assertNoProblems() {
    assert.deepEqual(this.#problems, [])
  }
}

/** Runs in the page, before anything else. */
function countWasm() {
  globalThis.wasmModules = 0
  for (const name of ['compile', 'compileStreaming', 'instantiate', 'instantiateStreaming', 'Module']) {
    WebAssembly[name] = new Proxy(WebAssembly[name], {
      apply(target, self, given) {
        globalThis.wasmModules += 1
        return Reflect.apply(target, self, given)
      },
      construct(target, given) {
        globalThis.wasmModules += 1
        return Reflect.construct(target, given)
      },
    })
  }
}
