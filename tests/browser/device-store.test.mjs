// What a browser keeps of a room: over versions of the database and users of the browser.

import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'

import { Relay } from '../harness/relay.mjs'
import { launchChromium } from './chromium.mjs'
import {
  NOWHERE, enter, enterAgain, keep, layOutVersion1, newProfile, openPage, openRoom, read, rows, servePackage, typed,
} from './device-page.mjs'

let browser
let server

before(async () => {
  server = await servePackage()
  browser = await launchChromium()
})
after(async () => {
  await browser?.close()
  server?.close()
})

describe('a database of the first version', () => {
  it('is brought to the present one with all that is in it', async t => {
    const context = await newProfile(t, browser)
    const page = await openPage(context, server.url)
    await layOutVersion1(page, NOWHERE, [typed(1, 'kept '), typed(2, 'pending ')])
    await page.evaluate(() => window.held.close())
    await enter(page)
    assert.equal((await read(page)).length, 'kept pending '.length)
    assert.deepEqual(await page.evaluate(() => [window.room.storage, window.room.saved]), [
      { kind: 'device' }, { tier: 'device', pending: 1 },
    ])
    await keep(page, 'new')
    const { version, rows: kept, places, marks, copies } = await rows(page)
    assert.deepEqual([version, kept.length, places.length, marks.length, copies.length], [2, 3, 1, 1, 0])
    await enterAgain(page)
    assert.match(await read(page), /kept .*new|pending .*new/)
  })
})

describe('a database of a newer version', () => {
  it('is left as it is, and the page says why it keeps nothing', async t => {
    const context = await newProfile(t, browser)
    const page = await openPage(context, server.url)
    await page.evaluate(async () => {
      const request = indexedDB.open('coweave', 99)
      request.onupgradeneeded = () => request.result.createObjectStore('future').put('kept', 'it')
      await new Promise(resolve => (request.onsuccess = resolve))
      request.result.close()
    })
    await enter(page)
    const { kind, message } = await page.evaluate(() => ({ kind: window.room.storage.kind, message: window.room.storage.error?.message }))
    assert.equal(kind, 'lost')
    assert.match(message, /newer version .* reload/)
    const { version, future } = await rows(page)
    assert.deepEqual([version, future], [99, ['kept']])
  })
})

describe('two users of one browser', () => {
  it('never see what the device keeps for the other one, or for nobody', async t => {
    const context = await newProfile(t, browser)
    for (const user of [undefined, 'ana', 'ana b']) {
      const page = await openRoom(context, server.url, { user, room: user === 'ana' ? 'b notes' : 'notes' })
      assert.equal(await read(page), '')
      await keep(page, `of ${user}`)
      await page.close()
    }
    const page = await openRoom(context, server.url, { user: 'ana', room: 'b notes' })
    assert.equal(await read(page), 'of ana')
    const wrong = await page.evaluate(() => ['', 'a\nb', 7].map(user => {
      try {
        return window.coweave.connect('ws://127.0.0.1:9', { user }).url
      } catch (error) {
        return error.code
      }
    }))
    assert.deepEqual(wrong, ['api.wrong_type', 'api.wrong_type', 'api.wrong_type'])
  })
})

describe('a client that was disposed', () => {
  it('does nothing any more, whatever of it the app still holds', async t => {
    const relay = await Relay.start()
    t.after(() => relay.dispose())
    const context = await newProfile(t, browser)
    const page = await openPage(context, server.url)
    const later = await page.evaluate(async relay => {
      const { connect } = window.coweave
      const done = []
      class CountedSocket extends WebSocket {
        constructor(...given) {
          super(...given)
          done.push('socket')
        }
      }
      const token = () => {
        done.push('token')
        return 'x'
      }
      const client = connect(relay, { token, webSocket: CountedSocket })
      const room = client.room('notes')
      await room.synced
      const body = room.doc.text('body')
      window.held = room.doc.undo({ scope: body })
      body.insert(0, 'x')
      await new Promise(resolve => setTimeout(resolve))
      body.insert(0, 'y')
      client.dispose()
      const count = done.length
      // Whoever comes next has its answers from the same database, and from the relay.
      const next = connect(relay)
      await next.room('notes').flush()
      next.dispose()
      return done.slice(count)
    }, relay.wsUrl)
    assert.deepEqual(later, [])
  })
})
