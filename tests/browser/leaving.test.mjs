// The leave-page guard, with the browser's own question: asked when something would be lost, and only then.

import assert from 'node:assert/strict'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'

import { Relay } from '../harness/relay.mjs'
import { until } from '../harness/until.mjs'
import { launchChromium } from './chromium.mjs'
import { openPage, servePackage } from './package-page.mjs'

let browser
let served
let relay
let context

before(async () => {
  [browser, served] = await Promise.all([launchChromium(), servePackage()])
})
after(async () => {
  await browser.close()
  served.close()
})
beforeEach(async () => {
  relay = await Relay.start()
  context = await browser.newContext()
})
afterEach(async () => {
  await context.close()
  await relay.dispose()
})

/** A page whose guard is on, and which the user has touched: browsers ask for no other. */
async function guarded(guard, options = {}) {
  const page = await openPage(context, { url: served.url, relay: relay.wsUrl, options })
  await page.evaluate(given => {
    const { addEventListener, removeEventListener } = window
    window.guards = 0
    window.addEventListener = function (type, ...rest) {
      if (type === 'beforeunload') window.guards += 1
      return addEventListener.call(this, type, ...rest)
    }
    window.removeEventListener = function (type, ...rest) {
      if (type === 'beforeunload') window.guards -= 1
      return removeEventListener.call(this, type, ...rest)
    }
    window.guard = window.client.guardLeaving(given)
  }, guard)
  await page.locator('textarea').click()
  await page.keyboard.type('x')
  await page.waitForFunction(() => window.room.status.state === 'live')
  return page
}

/** Tries to leave, after some last deed; answers whether the browser asked. The answer to it is to stay. */
async function asks(page, deed = () => undefined) {
  let asked = false
  const answer = async dialog => {
    assert.equal(dialog.type(), 'beforeunload')
    asked = true
    await dialog.dismiss()
  }
  page.once('dialog', answer)
  // The page stays after a question, so nothing is waited for but the question or the new page.
  await page.evaluate(deed => {
    window.hereStill = true
    setTimeout(() => {
      window.eval(`(${deed})()`)
      location.reload()
    })
  }, String(deed))
  await until(async () => asked || !(await page.evaluate(() => 'hereStill' in window).catch(() => true)), 'the page is left or asks')
  page.off('dialog', answer)
  return asked
}

const insert = page => page.evaluate(() => window.room.doc.text('body').insert(0, 'x'))
const guards = page => page.evaluate(() => window.guards)

/** Holds back all writes to the device, or lets them go on. */
async function holdDevice(page) {
  await page.evaluate(() => {
    const held = []
    const answer = IDBTransaction.prototype
    const { set } = Object.getOwnPropertyDescriptor(answer, 'oncomplete')
    let isHolding = true
    Object.defineProperty(answer, 'oncomplete', {
      configurable: true,
      set(call) {
        set.call(this, event => { if (isHolding) held.push(() => call(event)); else call(event) })
      },
    })
    window.releaseDevice = () => {
      isHolding = false
      for (const call of held) call()
    }
  })
}

describe('the guard until `device`', () => {
  it('asks while an edit is not on the device, and no longer', async () => {
    const page = await guarded({})
    await relay.kill()
    await holdDevice(page)
    assert.equal(await guards(page), 0)
    await insert(page)
    await until(async () => await guards(page) === 1, 'the guard is there')
    assert.ok(await asks(page))
    await page.evaluate(() => window.releaseDevice())
    await page.waitForFunction(() => window.room.saved.tier === 'device')
    assert.equal(await guards(page), 0)
    assert.ok(!await asks(page))
  })

  it('asks for nothing that is durable, wherever the device is with its writing', async () => {
    const page = await guarded({})
    await holdDevice(page)
    await insert(page)
    await page.evaluate(() => window.room.flush())
    assert.equal(await guards(page), 0)
    assert.ok(!await asks(page))
  })

  it('asks until an edit is durable where the device keeps nothing', async () => {
    const page = await guarded({}, { storage: 'memory' })
    await relay.kill()
    await insert(page)
    await page.waitForFunction(() => window.room.status.state === 'offline')
    assert.ok(await asks(page))
    await relay.start()
    await page.evaluate(() => window.room.flush())
    assert.equal(await guards(page), 0)
    assert.ok(!await asks(page))
  })

  it('asks until an edit is durable when the store of the device failed', async () => {
    const page = await guarded({})
    await relay.kill()
    await page.evaluate(() => {
      IDBObjectStore.prototype.put = () => { throw new DOMException('full', 'QuotaExceededError') }
    })
    await insert(page)
    await page.waitForFunction(() => window.room.storage.kind === 'lost')
    assert.ok(await asks(page))
    await relay.start()
    await page.evaluate(() => window.room.flush())
    assert.ok(!await asks(page))
  })

  it('asks for an edit of the very moment in which the page is left', async () => {
    const page = await guarded({}, { storage: 'memory' })
    await relay.kill()
    assert.ok(await asks(page, () => window.room.doc.text('body').insert(0, 'the last words')))
  })

  it('asks for a document that was set aside and is in this page alone', async () => {
    const page = await guarded({ until: 'durable' }, { storage: 'memory' })
    await relay.dispose()
    await insert(page)
    relay = await Relay.start({ port: relay.port })
    await page.waitForFunction(async () => (await window.room.copies()).length === 1)
    await page.waitForFunction(() => window.room.saved.tier === 'durable')
    assert.ok(await asks(page))
    await page.evaluate(async () => {
      const [copy] = await window.room.copies()
      await copy.drop()
    })
    assert.ok(!await asks(page))
  })

  it('is gone with its disposer and with the client', async () => {
    const page = await guarded({}, { storage: 'memory' })
    await relay.kill()
    await insert(page)
    await until(async () => await guards(page) === 1, 'the guard is there')
    await page.evaluate(() => window.guard.dispose())
    assert.equal(await guards(page), 0)
    await page.evaluate(() => { window.client.guardLeaving() })
    assert.equal(await guards(page), 1)
    await page.evaluate(() => window.client.dispose())
    assert.equal(await guards(page), 0)
    assert.ok(!await asks(page))
  })
})

describe('the guard until `durable`', () => {
  it('asks for an edit that is only on the device, until the relay has it on its disk', async () => {
    const page = await guarded({ until: 'durable' })
    await relay.kill()
    await insert(page)
    await page.waitForFunction(() => window.room.saved.tier === 'device')
    assert.ok(await asks(page))
    await relay.start()
    await page.evaluate(() => window.room.flush())
    assert.equal(await guards(page), 0)
    assert.ok(!await asks(page))
  })

  it('takes no other word', async () => {
    const page = await guarded({})
    const code = await page.evaluate(() => {
      try { window.client.guardLeaving({ until: 'never' }) } catch (error) { return error.code }
      return 'nothing was thrown'
    })
    assert.equal(code, 'api.wrong_type')
  })
})
