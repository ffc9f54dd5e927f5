// Bad weather, with the package in Chromium: whatever a server or a line does, the status is honest, nothing spins,
// and what is typed meanwhile arrives when the relay is back.

import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'

import { Relay } from '../harness/relay.mjs'
import { sleep, until } from '../harness/until.mjs'
import * as weathers from '../harness/weather.mjs'
import { launchChromium } from './chromium.mjs'
import { rows } from './device-page.mjs'
import { servePackage } from './package-page.mjs'
import { Friend, WeatherPage } from './weather-page.mjs'

const { Weather, clear } = weathers
const WATCHED_MS = 2_000
/** Waits are random; this many attempts in that time are next to impossible. */
const ATTEMPTS_MAX = 20

let browser
let relay
let served
let everywhere
let roomCount = 0

before(async () => {
  relay = await Relay.start()
  served = await servePackage()
  browser = await launchChromium()
  everywhere = await Friend.open(browser, served.url, relay.wsUrl)
})
after(async () => {
  await browser?.close()
  served?.close()
  await relay?.dispose()
})

/** A page behind a line, and a friend who is next to the relay. */
async function twoPages(t, { weather = clear, init } = {}) {
  const line = await Weather.start(relay)
  line.become(weather)
  const context = await browser.newContext()
  if (init !== undefined) await context.addInitScript(init)
  t.after(async () => {
    await context.close()
    line.close()
  })
  const roomName = `weather-${++roomCount}`
  const page = await WeatherPage.open(context, served.url, line.wsUrl, roomName)
  const friend = await everywhere.join(roomName)
  return { line, page, friend, context }
}

/** The two have the same text, and the page had no problem. */
async function untilTogether(page, friend, content) {
  await page.untilState('live')
  await friend.untilContent(content)
  await page.untilTier('durable')
  page.assertNoProblem()
}

/** Watches the page for a while: what it is told, and how often it knocks; fails when it spins. */
async function watch(page, line) {
  const [attempts, work] = [line.attempts, await page.work()]
  await sleep(WATCHED_MS)
  const share = (await page.work() - work) / (WATCHED_MS / 1_000)
  assert.ok(share < 0.5, `the page works ${Math.round(share * 100)} % of the time`)
  assert.ok(line.attempts - attempts <= ATTEMPTS_MAX, `${line.attempts - attempts} attempts`)
  return page.told()
}

/** A test of one weather: it is clear, then bad, and clear again. */
function endure(weather) {
  return async t => {
    const { line, page, friend } = await twoPages(t)
    await page.untilState('live')
    await page.type('before. ')
    await friend.untilContent('before. ')
    await page.untilTier('durable')
    await page.told()
    line.become(weather)
    await until(async () => (await page.state()) !== 'live', 'the app is told')
    await page.type('meanwhile. ')
    await page.untilTier('device')
    const told = await watch(page, line)
    assert.ok(told.every(state => state === 'connecting' || state === 'offline'), `the app was told ${told}`)
    assert.equal(await page.tier(), 'device')
    assert.equal(await friend.content(), 'before. ')
    line.become(clear)
    await untilTogether(page, friend, 'before. meanwhile. ')
  }
}

/** A test of a relay with which there is no version in common. */
function stopFor(weather) {
  return async t => {
    const { line, page, friend, context } = await twoPages(t, { weather })
    await page.type('of another version. ')
    await page.untilState('stopped')
    assert.equal((await page.status()).error, 'protocol.unsupported')
    await page.untilTier('device')
    const { attempts } = line
    await watch(page, line)
    assert.equal(line.attempts, attempts, 'trying again would not help')
    line.become(clear)
    const roomName = await page.page.evaluate(() => window.room.name)
    const other = await WeatherPage.open(context, served.url, line.wsUrl, roomName)
    await untilTogether(other, friend, 'of another version. ')
    page.assertNoProblem()
  }
}

/** A test of a line that is dead while something is done that it should bring. */
function noticeAfter(what, given) {
  return async t => {
    const { line, page, friend } = await twoPages(t)
    await page.untilState('live')
    line.swallow()
    const { took, fiveSeconds } = await page.noticesAfter(what, given)
    // A busy machine is late with everything.
    assert.ok(took < fiveSeconds + 500, `after ${took} ms; five seconds took ${fiveSeconds} ms`)
    const content = what === 'edit' ? given : ''
    await untilTogether(page, friend, content)
  }
}

/** Another tab of the same browser, which uses the socket of the first one. */
async function nextTab(context, line, first) {
  const roomName = await first.page.evaluate(() => window.room.name)
  const tab = await WeatherPage.open(context, served.url, line.wsUrl, roomName)
  await tab.untilState('live')
  assert.equal(line.attempts, 1)
  return tab
}

/** One of two tabs dies with an edit that is nowhere but on their device. */
async function bringsAfterCrash({ line, dies, stays, friend }) {
  line.swallow()
  await dies.type('last words. ')
  await stays.untilContent('last words. ')
  assert.equal(await friend.content(), '')
  const arrival = friend.arrival('last words. ')
  await dies.crash()
  const crashedAt = Date.now()
  // That a line is dead takes five seconds to notice; the next one is there at once.
  line.become(clear)
  const took = await arrival - crashedAt
  assert.ok(took < 3_000, `it took ${took} ms`)
  await stays.type('And more. ')
  await untilTogether(stays, friend, 'last words. And more. ')
  await until(async () => (await rows(stays.page)).pending.length === 0, 'nothing is left to be brought')
}

const HOUR = 3_600_000

/** Lets a page turn its clocks: what it shows of the time, and what it measures. */
function clocks() {
  const [date, steady] = [Date.now, performance.now.bind(performance)]
  let [wallAhead, steadyAhead] = [0, 0]
  Date.now = () => date() + wallAhead
  performance.now = () => steady() + steadyAhead
  window.turnClocks = ({ wall = 0, steady = 0 }) => {
    wallAhead += wall
    steadyAhead += steady
  }
}

/** A test of a wall clock that is set to another time. */
function jump(wall) {
  return async t => {
    const { line, page, friend } = await twoPages(t, { init: clocks })
    await page.untilState('live')
    await page.page.evaluate(wall => window.turnClocks({ wall }), wall)
    await page.type('one. ')
    await untilTogether(page, friend, 'one. ')
    assert.equal(line.attempts, 1)
    line.become(weathers.refused)
    const away = await until(() => page.page.evaluate(() => {
      const { state, retryAt } = window.room.status
      return state === 'offline' && { wait: retryAt - Date.now() }
    }), 'the app is told when it tries again')
    assert.ok(away.wait > -5_000 && away.wait < 15_000, `in ${away.wait} ms`)
    line.become(clear)
    await page.type('two. ')
    await untilTogether(page, friend, 'one. two. ')
  }
}

/** A test of a night: the line dies, and the clocks show this much more when the page goes on. */
function sleepThrough(night) {
  return async t => {
    const { line, page, friend } = await twoPages(t, { init: clocks })
    await page.untilState('live')
    await page.type('yesterday. ')
    await untilTogether(page, friend, 'yesterday. ')
    line.swallow()
    await page.page.evaluate(clock => window.turnClocks(clock), night)
    await page.type('today. ')
    await untilTogether(page, friend, 'yesterday. today. ')
    const { attempts } = line
    await watch(page, line)
    assert.equal(line.attempts, attempts)
  }
}

describe('bad weather', { concurrency: 3 }, () => {
  describe('a session survives', { concurrency: 4 }, () => {
    it('a relay that refuses connections', endure(weathers.refused))
    it('a relay that answers noise', endure(weathers.noisy))
    it('a line that answers noise', endure(weathers.noisyLine))
    it('a relay that answers text', endure(weathers.talkative))
    it('a relay that cuts its messages', endure(weathers.cutMessage))
    it('a line that cuts its frames', endure(weathers.cutFrameEnd))
    it('a relay that speaks out of turn', endure(weathers.outOfTurn))
    it('a relay that says what nobody understands, for ever', endure(weathers.babbling))
    it('a captive portal', endure(weathers.portal))
    it('a captive portal that redirects', endure(weathers.redirect))
    it('a server that never answers the upgrade', endure(weathers.deaf))
    it('a socket that opens and never speaks', endure(weathers.mute))
    it('a relay that closes right after its welcome', endure(weathers.closing))
    it('a relay that ends every connection after the welcome', endure(weathers.closingInStep))

    it('a captive portal that is there from the start', async t => {
      const { line, page, friend } = await twoPages(t, { weather: weathers.portal })
      await page.type('in the hotel. ')
      await page.untilTier('device')
      const told = await watch(page, line)
      assert.ok(told.every(state => ['opening', 'connecting', 'offline'].includes(state)), `the app was told ${told}`)
      line.become(clear)
      await untilTogether(page, friend, 'in the hotel. ')
    })

    it('a relay of a newer version that still speaks this one', async t => {
      const { line, page, friend } = await twoPages(t, { weather: weathers.newer })
      await page.untilState('live')
      await page.type('from the old one. ')
      await untilTogether(page, friend, 'from the old one. ')
      await friend.type('from the other. ')
      await page.untilContent('from the old one. from the other. ')
      assert.equal(line.attempts, 1)
    })

    it('a relay of an older version, which does not answer what it does not know', async t => {
      const { line, page, friend } = await twoPages(t, { weather: weathers.older })
      await page.untilState('live')
      await page.type('from the new one. ')
      await untilTogether(page, friend, 'from the new one. ')
      const isFlushed = await page.flush()
      await friend.type('from the other. ')
      await page.untilContent('from the new one. from the other. ')
      assert.equal(await page.page.evaluate(() => window.room.role), 'editor')
      // Longer than what a line is given for an answer.
      await sleep(6_000)
      assert.equal(line.attempts, 1, 'a relay without an answer to that is no dead line')
      assert.equal(await isFlushed(), false, 'nobody has said so')
      line.become(weathers.older)
      await until(() => line.attempts === 2, 'it comes back')
      await page.type('And again. ')
      await untilTogether(page, friend, 'from the new one. from the other. And again. ')
      assert.equal(await isFlushed(), false, 'nobody has said so')
      line.become(clear)
      await until(isFlushed, 'the flush is done when the relay is up to date')
    })

    it('a relay that does not speak its version: it stops, says why, and a newer page brings what was typed', stopFor(weathers.unsupported))
    it('a relay of a version before its first one: it stops as well', stopFor(weathers.outdated))
  })

  describe('a session notices', { concurrency: 2 }, () => {
    it('a line that swallows everything, within five seconds of an edit', noticeAfter('edit', 'into the void. '))
    it('the same within five seconds of a large paste', noticeAfter('edit', 'x'.repeat(4_000_000)))
    it('the same within five seconds of a change of its presence', noticeAfter('presence', 'Ana'))
    it('the same within five seconds of asking for a flush', noticeAfter('flush'))

    it('a dead line when the page becomes visible', async t => {
      const { line, page, friend } = await twoPages(t)
      await page.untilState('live')
      await sleep(1_500)
      line.swallow()
      await page.page.evaluate(() => {
        Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => 'hidden' })
        document.dispatchEvent(new Event('visibilitychange'))
      })
      await sleep(500)
      assert.equal(await page.state(), 'live')
      const { took, fiveSeconds } = await page.noticesAfter('come back')
      assert.ok(took < fiveSeconds + 500, `after ${took} ms; five seconds took ${fiveSeconds} ms`)
      await page.type('awake. ')
      await untilTogether(page, friend, 'awake. ')
    })

    it('that the browser is offline, and comes back at once when it is online again', async t => {
      const { line, page, friend, context } = await twoPages(t)
      await page.untilState('live')
      line.swallow()
      const [{ took, fiveSeconds }] = await Promise.all([page.noticesAfter('nothing'), context.setOffline(true)])
      assert.ok(took < fiveSeconds + 500, `after ${took} ms; five seconds took ${fiveSeconds} ms`)
      await page.type('offline. ')
      await page.untilTier('device')
      // Until it would wait for a while by itself.
      const retryAt = await until(async () => {
        const status = await page.status()
        return status.retryAt > Date.now() + 3_000 && status.retryAt
      }, 'the waits become long', 60_000)
      const backAt = page.backAt()
      await context.setOffline(false)
      assert.ok(await backAt < retryAt, 'it did not wait for its next attempt')
      await untilTogether(page, friend, 'offline. ')
    })
  })

  describe('a tab that crashes with an edit that its line has swallowed', { concurrency: 2 }, () => {
    it('and whose socket was that of all: another one brings it, once, within three seconds', async t => {
      const { line, page: leader, friend, context } = await twoPages(t)
      await leader.untilState('live')
      const other = await nextTab(context, line, leader)
      await bringsAfterCrash({ line, dies: leader, stays: other, friend })
    })

    it('and that used the socket of another: that one brings it, once, within three seconds', async t => {
      const { line, page: leader, friend, context } = await twoPages(t)
      await leader.untilState('live')
      const other = await nextTab(context, line, leader)
      await bringsAfterCrash({ line, dies: other, stays: leader, friend })
    })
  })

  describe('a clock', { concurrency: 2 }, () => {
    it('that is set forward by an hour costs no connection, and what the app is told is of its own time', jump(HOUR))
    it('that is set back by an hour costs no connection either', jump(-HOUR))
    it('that slept for eight hours: the line of yesterday is replaced', sleepThrough({ wall: 8 * HOUR }))
    it('that measured eight hours of sleep does as well', sleepThrough({ wall: 8 * HOUR, steady: 8 * HOUR }))
    it('that measures time backward does as well', sleepThrough({ wall: 8 * HOUR, steady: -HOUR }))

    it('that was stopped for eight hours, and nobody does anything: a dead line is replaced within ten seconds', async t => {
      const { line, page, friend } = await twoPages(t, { init: clocks })
      await page.untilState('live')
      await page.type('yesterday. ')
      await untilTogether(page, friend, 'yesterday. ')
      // Somebody who was busy a moment ago still has something to look after.
      await sleep(2_500)
      const { attempts } = line
      line.swallow()
      const { took, fiveSeconds } = await page.noticesAfter('turn the clock', 8 * HOUR)
      assert.ok(took < 2 * fiveSeconds + 500, `after ${took} ms; five seconds took ${fiveSeconds} ms`)
      await page.untilState('live')
      assert.equal(line.attempts, attempts + 1)
      await friend.type('good morning. ')
      await page.untilContent('yesterday. good morning. ')
    })

    it('that stands still because the page was frozen is no reason to give up a line that works', async t => {
      const { line, page, friend } = await twoPages(t)
      await page.untilState('live')
      const cdp = await page.page.context().newCDPSession(page.page)
      await page.type('before. ')
      await cdp.send('Page.setWebLifecycleState', { state: 'frozen' })
      await friend.untilContent('before. ')
      await sleep(11_000)
      await cdp.send('Page.setWebLifecycleState', { state: 'active' })
      await page.type('after. ')
      await untilTogether(page, friend, 'before. after. ')
      assert.equal(line.attempts, 1)
    })
  })
})
