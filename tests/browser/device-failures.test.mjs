// A device whose database fails, in every way that a browser shows: what was typed is there in the end, what is
// said to be saved is, and the page says what is wrong.

import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'

import { Relay } from '../harness/relay.mjs'
import { launchChromium } from './chromium.mjs'
import { installFaults } from './device-flows.mjs'
import {
  NOWHERE, enter, enterAgain, keep, layOutVersion1, newProfile, openPage, openRoom, read, rows, servePackage, type,
  waitForDevice,
} from './device-page.mjs'

let browser
let server
let relay

before(async () => {
  server = await servePackage()
  relay = await Relay.start()
  browser = await launchChromium()
})
after(async () => {
  await browser?.close()
  await relay?.dispose()
  server?.close()
})

async function faultyPage(t) {
  const context = await newProfile(t, browser)
  await context.addInitScript(installFaults)
  return openPage(context, server.url)
}

describe('a database that another page holds up', () => {
  it('is given up after a while, and gets everything when it answers again', { timeout: 60_000 }, async t => {
    const context = await newProfile(t, browser)
    const holder = await openRoom(context, server.url)
    await keep(holder, 'kept, ')
    await holder.evaluate(async () => {
      const database = await new Promise(resolve => {
        indexedDB.open('coweave').onsuccess = event => resolve(event.target.result)
      })
      const transaction = database.transaction([...database.objectStoreNames], 'readwrite')
      const [name] = database.objectStoreNames
      const goOn = () => {
        if (!window.isDone) transaction.objectStore(name).count().onsuccess = goOn
      }
      goOn()
      transaction.oncomplete = () => database.close()
    })
    const heldSince = performance.now()
    await type(holder, 'written while nothing answers, ')
    const visitor = await openPage(context, server.url)
    await enter(visitor)
    for (const page of [holder, visitor]) {
      await page.waitForFunction(() => window.room.storage.kind === 'lost')
      const reason = await page.evaluate(() => window.room.storage.error.message)
      assert.match(reason, /does not answer/)
    }
    // Longer than what may keep a busy browser.
    const waited = performance.now() - heldSince
    assert.ok(waited > 9_000 && waited < 18_000, `given up after ${waited} ms`)
    await holder.evaluate(() => { window.isDone = true })
    for (const page of [holder, visitor]) {
      await page.evaluate(() => window.dispatchEvent(new Event('online')))
      await page.waitForFunction(() => window.room.storage.kind === 'device' && window.room.saved.tier === 'device')
    }
    await context.pages()[0].close()
    await enterAgain(visitor)
    assert.equal(await read(visitor), 'kept, written while nothing answers, ')
  })
})

describe('a database that does not open', () => {
  it('because the browser forbids it: the room lives in memory, and is kept when that changes', async t => {
    const context = await newProfile(t, browser)
    await context.addInitScript(() => {
      const { indexedDB } = window
      window.isForbidden = true
      Object.defineProperty(window, 'indexedDB', {
        get() {
          if (window.isForbidden) throw new DOMException('not in this mode', 'SecurityError')
          return indexedDB
        },
      })
    })
    const page = await openRoom(context, server.url)
    await type(page, 'typed')
    assert.deepEqual(await page.evaluate(() => [window.room.storage.kind, window.room.saved.tier]), ['lost', 'memory'])
    assert.match(await page.evaluate(() => window.room.storage.error.message), /SecurityError: not in this mode/)
    await page.evaluate(() => (window.isForbidden = false))
    await page.waitForFunction(() => window.room.saved.tier === 'device')
    assert.deepEqual(await page.evaluate(() => window.events.at(-1)), ['storage-restored', ''])
    await page.reload()
    await page.evaluate(() => (window.isForbidden = false))
    await enter(page)
    await waitForDevice(page)
    assert.equal(await read(page), 'typed')
  })

  it('because another tab stands in the way: the room does not wait, and is kept when it is gone', async t => {
    const context = await newProfile(t, browser)
    const old = await openPage(context, server.url)
    await layOutVersion1(old, NOWHERE)
    // Five seconds are long for a test.
    await context.addInitScript(() => {
      const wait = window.setTimeout
      window.setTimeout = (call, ms, ...rest) => wait(call, ms === 5_000 ? 100 : ms, ...rest)
    })
    const page = await openRoom(context, server.url)
    await type(page, 'typed')
    assert.match(await page.evaluate(() => window.room.storage.error.message), /does not open/)
    assert.equal(await page.evaluate(() => window.room.saved.tier), 'memory')
    await old.close()
    await page.waitForFunction(() => window.room.saved.tier === 'device')
    assert.deepEqual(await page.evaluate(() => window.events.at(-1)), ['storage-restored', ''])
  })
})

describe('a database that goes away while the room is open', () => {
  const ways = {
    'cleared by the user': async page => {
      const cdp = await page.context().newCDPSession(page)
      await cdp.send('Storage.clearDataForOrigin', { origin: server.url, storageTypes: 'indexeddb' })
    },
    'deleted by a script': page => page.evaluate(() => new Promise((resolve, reject) => {
      Object.assign(indexedDB.deleteDatabase('coweave'), { onsuccess: resolve, onerror: reject })
    })),
  }
  for (const [how, clear] of Object.entries(ways)) {
    describe(how, () => {
      it('is told at once, and everything is written anew', async t => {
        const context = await newProfile(t, browser)
        const page = await openRoom(context, server.url)
        await keep(page, 'before ')
        await clear(page)
        // While it is cleared it may fail for other reasons, too.
        await page.waitForFunction(() => window.events.at(-1)?.[0] === 'storage-restored')
        assert.equal(await page.evaluate(() => window.events[0][0]), 'storage-lost')
        await keep(page, 'after')
        const { rows: kept, pending } = await rows(page)
        assert.deepEqual([kept.length, pending.length], [3, 2])
        await enterAgain(page)
        assert.equal(await read(page), 'before after')
        assert.deepEqual(await page.evaluate(() => window.room.saved), { tier: 'device', pending: 2 })
      })
    })
  }

  it('emptied without a word: the next edit is not said to be on the device before all is', async t => {
    const context = await newProfile(t, browser)
    const page = await openRoom(context, server.url)
    await keep(page, 'before ')
    await page.evaluate(async () => {
      const request = indexedDB.open('coweave')
      await new Promise(resolve => (request.onsuccess = resolve))
      const stores = [...request.result.objectStoreNames]
      const transaction = request.result.transaction(stores, 'readwrite')
      for (const store of stores) transaction.objectStore(store).clear()
      await new Promise(resolve => (transaction.oncomplete = resolve))
      request.result.close()
    })
    await keep(page, 'after')
    await enterAgain(page)
    assert.equal(await read(page), 'before after')
  })

  it('killed by the browser in the background: it is back when the page is', async t => {
    const page = await faultyPage(t)
    await enter(page)
    await keep(page, 'before ')
    await page.evaluate(() => {
      const { faults } = window
      const database = faults.databases.at(-1)
      Object.assign(faults, { calls: 0, at: 1, how: 'from then on' })
      database.close()
      database.dispatchEvent(new Event('close'))
    })
    await page.waitForFunction(() => window.room.storage.kind === 'lost')
    await type(page, 'meanwhile')
    assert.equal(await page.evaluate(() => window.room.saved.tier), 'memory')
    await page.evaluate(() => {
      window.faults.at = Infinity
      document.dispatchEvent(new Event('visibilitychange'))
    })
    await page.waitForFunction(() => window.room.saved.tier === 'device')
    await enterAgain(page)
    assert.equal(await read(page), 'before meanwhile')
  })

  it('closed while idle: nobody notices', async t => {
    const page = await faultyPage(t)
    await enter(page)
    await keep(page, 'before ')
    await page.evaluate(() => {
      const database = window.faults.databases.at(-1)
      database.close()
      database.dispatchEvent(new Event('close'))
    })
    await keep(page, 'after')
    assert.deepEqual(await page.evaluate(() => window.events), [])
  })
})

describe('a device that is full', () => {
  it('is told, and gets what it lacks when there is space again', async t => {
    const context = await newProfile(t, browser)
    const page = await openPage(context, server.url)
    const cdp = await context.newCDPSession(page)
    // Chromium looks at the quota when it opens the database, and later on when it seems to be reached.
    await cdp.send('Storage.overrideQuotaForOrigin', { origin: server.url, quotaSize: 300_000 })
    await enter(page)
    await keep(page, 'small ')
    await type(page, 'x'.repeat(1_000_000))
    await page.waitForFunction(() => window.room.storage.kind === 'lost')
    assert.match(await page.evaluate(() => window.room.storage.error.message), /QuotaExceededError/)
    assert.equal(await page.evaluate(() => window.room.saved.tier), 'memory')
    await cdp.send('Storage.overrideQuotaForOrigin', { origin: server.url })
    await page.waitForFunction(() => window.room.saved.tier === 'device')
    await enterAgain(page)
    assert.equal((await read(page)).length, 1_000_006)
  })
})

describe('a row that is damaged', () => {
  it('is left as it is, costs no other row, and is told', async t => {
    const context = await newProfile(t, browser)
    const page = await openRoom(context, server.url)
    await keep(page, 'kept ')
    await page.evaluate(async room => {
      const request = indexedDB.open('coweave')
      await new Promise(resolve => (request.onsuccess = resolve))
      const transaction = request.result.transaction('rows', 'readwrite')
      const store = transaction.objectStore('rows')
      store.put({ room, order: 1, writer: 'damaged', update: 'no bytes' })
      store.put({ room, order: 2, writer: 'damaged', update: new Uint8Array([9, 9, 9]) })
      await new Promise(resolve => (transaction.oncomplete = resolve))
      request.result.close()
    }, `${NOWHERE}/ notes`)
    await enterAgain(page)
    assert.equal(await read(page), 'kept ')
    const { kind, message } = await page.evaluate(() => ({ kind: window.room.storage.kind, message: window.room.storage.error?.message }))
    assert.equal(kind, 'damaged')
    assert.match(message, /1 rows of this device's copy cannot be read/)
    assert.deepEqual(await page.evaluate(() => window.events.map(([event]) => event)), ['storage-damaged'])
    await keep(page, 'and more')
    await enterAgain(page)
    assert.equal(await read(page), 'kept and more')
    assert.equal((await rows(page)).rows.filter(({ writer }) => writer === 'damaged').length, 2)
  })
})

describe('a room that is only opened', () => {
  it('writes nothing, offline or in step with the relay', async t => {
    const page = await faultyPage(t)
    await enter(page, { relay: relay.wsUrl, room: 'only opened' })
    await keep(page, 'kept')
    await page.evaluate(() => window.room.flush())
    // What the relay acknowledged is noted, too.
    await page.waitForFunction(() => window.room.saved.tier === 'durable')
    await page.evaluate(() => window.client.dispose())
    for (const options of [{ relay: relay.wsUrl, room: 'only opened' }, { relay: relay.wsUrl, room: 'only opened' }]) {
      await enterAgain(page, options)
      await page.evaluate(() => window.room.synced)
      await page.evaluate(() => new Promise(resolve => setTimeout(resolve, 50)))
    }
    assert.equal(await page.evaluate(() => window.faults.writing), 0)
    await relay.kill()
    await enterAgain(page, { relay: relay.wsUrl, room: 'only opened' })
    assert.equal(await read(page), 'kept')
    assert.deepEqual(await page.evaluate(() => [window.room.storage.kind, window.faults.writing]), ['device', 0])
    await relay.start()
  })
})

describe('tabs that end', () => {
  it('both at the same instant: nothing is missing that either of them said was on the device', async t => {
    const context = await newProfile(t, browser)
    const tabs = await Promise.all([1, 2].map(() => openRoom(context, server.url)))
    // Each tab notes, with every word, how many of its own the device has.
    await Promise.all(tabs.map((page, tab) => page.evaluate(tab => {
      const body = window.room.doc.text('body')
      let typed = 0
      const timer = setInterval(() => body.insert(body.length, `${tab}-${typed++} `), 3)
      window.stop = () => clearInterval(timer)
      localStorage.setItem(`said ${tab}`, '0')
      window.room.on('saved', ({ tier }) => {
        if (tier === 'device') localStorage.setItem(`said ${tab}`, String(typed))
      })
    }, tab)))
    for (const [tab, page] of tabs.entries()) {
      await page.waitForFunction(tab => Number(localStorage.getItem(`said ${tab}`)) > 20, tab)
    }
    await Promise.all(tabs.map(page => page.close()))
    const page = await openRoom(context, server.url)
    await waitForDevice(page)
    const words = new Set((await read(page)).split(' '))
    for (const tab of [0, 1]) {
      const said = Number(await page.evaluate(tab => localStorage.getItem(`said ${tab}`), tab))
      assert.ok(said > 20)
      for (let word = 0; word < said; word += 1) assert.ok(words.has(`${tab}-${word}`), `${tab}-${word} of ${said}`)
    }
  })
})
