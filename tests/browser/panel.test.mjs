// The panel for developers: what it says in good and bad times, how it looks, and that it leaves nothing behind.

import assert from 'node:assert/strict'
import { mkdir } from 'node:fs/promises'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'

import { Relay } from '../harness/relay.mjs'
import { until } from '../harness/until.mjs'
import { launchChromium } from './chromium.mjs'
import { openPage, servePackage } from './package-page.mjs'

const pictures = fileURLToPath(new URL('../../target/screenshots', import.meta.url))

let browser
let served
let relay
let contexts

before(async () => {
  await mkdir(pictures, { recursive: true });
  [browser, served] = await Promise.all([launchChromium(), servePackage()])
})
after(async () => {
  await browser.close()
  served.close()
})
beforeEach(async () => {
  contexts = []
  relay = await Relay.start()
})
afterEach(async () => {
  await Promise.all(contexts.map(context => context.close()))
  await relay.dispose()
})

/** A page with a room and a panel on it. */
async function inspected({ options = {}, policy = null, prepare = () => undefined, ...look } = {}) {
  const context = await browser.newContext({ viewport: { width: 480, height: 760 }, ...look })
  contexts.push(context)
  await context.addInitScript(prepare)
  if (policy !== null) {
    await context.route(served.url, async route => {
      const response = await route.fetch()
      await route.fulfill({ response, headers: { ...response.headers(), 'content-security-policy': policy } })
    })
  }
  const page = await openPage(context, { url: served.url, relay: relay.wsUrl, options })
  await page.evaluate(() => {
    window.panel.definePanel()
    window.panel.definePanel()
    const element = document.createElement('coweave-panel')
    element.client = window.client
    document.body.append(element)
  })
  return page
}

const verdict = page => page.locator('coweave-panel .verdict').innerText()
const words = page => page.locator('coweave-panel section').innerText()
const insert = (page, text = 'Hello') => page.evaluate(it => window.room.doc.text('body').insert(0, it), text)

async function untilSays(page, pattern) {
  let text = ''
  await until(async () => pattern.test(text = await words(page)), () => `the panel says ${pattern}, not ${text}`)
}

const picture = (page, name) => page.locator('coweave-panel').screenshot({ path: `${pictures}/panel-${name}.png` })

describe('the panel', () => {
  it('looks as it should under a policy that forbids inline styles', async () => {
    const page = await inspected({ policy: "style-src 'self'" })
    await untilSays(page, /nothing to save/)
    const weight = await page.locator('coweave-panel .verdict').evaluate(it => getComputedStyle(it).fontWeight)
    assert.equal(weight, '600')
  })
})

describe('the panel says', () => {
  it('that everything is saved', async () => {
    const page = await inspected({ colorScheme: 'light' })
    await untilSays(page, /nothing to save/)
    await insert(page)
    await page.evaluate(() => window.room.flush())
    await untilSays(page, /^Coweave [\d.]+\s+Copy as JSON\s+Everything is saved\.\s+Connected for \d+ s\./)
    await untilSays(page, /notes\/today everything is saved/)
    await untilSays(page, /Document\s+5 elements by 1 client/)
    await picture(page, 'live-light')
  })

  it('that the relay is away, since when it tries, and what waits on this device', async () => {
    const page = await inspected({ colorScheme: 'dark' })
    await page.waitForFunction(() => window.room.status.state === 'live')
    await relay.kill()
    await insert(page)
    await untilSays(page, /Saved on this device: 1 edit is not at the relay yet\./)
    await untilSays(page, /The relay cannot be reached; next try (in \d+ s|now)\. [^.]+ \(connection\.lost\)\./)
    await untilSays(page, /notes\/today 1 edit on this device, not at the relay yet/)
    await page.locator('coweave-panel summary', { hasText: 'Last events' }).click()
    await untilSays(page, /notes\/today: the relay is away: the connection was lost \(connection\.lost\)\./)
    await picture(page, 'offline-dark')
    await relay.start()
    await untilSays(page, /Everything is saved\./)
  })

  it('that the store of this device failed', async () => {
    const page = await inspected({
      viewport: { width: 320, height: 700 },
      colorScheme: 'light',
      prepare: () => {
        IDBFactory.prototype.open = () => { throw new DOMException('not in this mode', 'SecurityError') }
      },
    })
    await relay.kill()
    await insert(page)
    await untilSays(page, /Not saved: 1 edit is only in memory\./)
    await untilSays(page, /1 edit only in memory: lost when this tab is closed/)
    await untilSays(page, /This device's store failed, and is tried again: .*SecurityError: not in this mode.*\(device\.unavailable\)\./)
    await picture(page, 'storage-lost-320')
  })

  it('that a room has stopped, and why', async () => {
    const page = await inspected({ colorScheme: 'dark', viewport: { width: 320, height: 700 } })
    await page.waitForFunction(() => window.room.status.state === 'live')
    await page.evaluate(() => {
      const error = { code: 'room.deleted', message: 'the room was deleted', fault: 'incompatible', retryable: false }
      document.querySelector('coweave-panel').client = {
        debug() {
          const snapshot = window.client.debug()
          const rooms = snapshot.rooms.map(room => ({ ...room, status: { state: 'stopped', error } }))
          return { ...snapshot, rooms }
        },
      }
    })
    await untilSays(page, /Saved so far, but 1 room has stopped\./)
    await untilSays(page, /The room has stopped: the room was deleted \(room\.deleted\)\./)
    await picture(page, 'stopped-320-dark')
  })

  it('that the module does not arrive', async () => {
    const context = await browser.newContext()
    contexts.push(context)
    await context.route('**/*.wasm', route => route.fulfill({ status: 404 }))
    const page = await context.newPage()
    await page.goto(served.url)
    await page.waitForFunction(() => 'coweave' in window)
    await page.evaluate(() => {
      const client = window.coweave.connect('ws://127.0.0.1:9')
      client.room('notes')
      // Set before the element is known, as a framework may do.
      document.body.append(Object.assign(document.createElement('coweave-panel'), { client }))
      window.panel.definePanel()
    })
    await untilSays(page, /The client cannot run: the wasm module cannot be loaded: .*\(client\.load_failed\)\./)
  })

  it('the worst of a thousand rooms first, without drawing them all', async () => {
    const page = await inspected()
    await page.evaluate(() => {
      document.querySelector('coweave-panel').client = {
        debug() {
          const snapshot = window.client.debug()
          const [room] = snapshot.rooms
          const rooms = Array.from({ length: 1_000 }, (_, i) => ({ ...room, name: `room ${i}` }))
          rooms[777] = { ...rooms[777], saved: { tier: 'memory', pending: 2 } }
          return { ...snapshot, rooms }
        },
      }
    })
    await untilSays(page, /Not saved: 2 edits are only in memory\./)
    assert.equal(await page.locator('coweave-panel .name').first().innerText(), 'room 777')
    await untilSays(page, /And 950 more rooms\./)
  })
})

describe('the panel', () => {
  it('copies the snapshot as JSON', async () => {
    const page = await inspected({ permissions: ['clipboard-read', 'clipboard-write'] })
    await page.locator('coweave-panel').getByRole('button', { name: 'Copy as JSON' }).click()
    await untilSays(page, /Copied/)
    const copied = JSON.parse(await page.evaluate(() => navigator.clipboard.readText()))
    assert.equal(copied.url, `${relay.wsUrl}/`)
    assert.equal(copied.rooms[0].name, 'notes/today')
  })

  it('shows the snapshot to be copied by hand where the browser forbids to copy', async () => {
    const page = await inspected({
      prepare: () => {
        Object.defineProperty(navigator, 'clipboard', { value: undefined })
      },
    })
    await page.locator('coweave-panel').getByRole('button', { name: 'Copy as JSON' }).click()
    const area = page.locator('coweave-panel').getByRole('textbox')
    assert.equal(JSON.parse(await area.inputValue()).rooms.length, 1)
  })

  it('can be used with the keyboard, fits into 320 pixels, and can be read', async () => {
    for (const colorScheme of ['light', 'dark']) {
      const page = await inspected({ viewport: { width: 320, height: 600 }, colorScheme })
      await page.locator('textarea').focus()
      const order = []
      for (let i = 0; i < 4; i += 1) {
        await page.keyboard.press('Tab')
        order.push(await page.evaluate(() => document.activeElement.shadowRoot.activeElement.textContent.split(' ')[0]))
      }
      assert.deepEqual(order, ['Copy', 'notes/today', 'Connection', 'Last'])
      await page.keyboard.press('Enter')
      const layout = await page.evaluate(() => {
        const panel = document.querySelector('coweave-panel')
        return { page: document.documentElement.scrollWidth, inside: panel.scrollWidth - panel.clientWidth }
      })
      assert.deepEqual(layout, { page: 320, inside: 0 })
      const contrasts = await page.evaluate(contrastsOfPanel)
      for (const [name, contrast] of Object.entries(contrasts)) {
        assert.ok(contrast >= 4.5, `${name} in ${colorScheme}: ${contrast}`)
      }
      const roles = await page.locator('coweave-panel').ariaSnapshot()
      assert.match(roles, /region "Coweave"/)
      assert.match(roles, /status/)
      assert.match(roles, /list "Last events"/)
    }
  })

  it('looks at its client only while it can be seen', async () => {
    const page = await inspected()
    await page.evaluate(() => {
      window.looks = 0
      const panel = document.querySelector('coweave-panel')
      panel.client = { debug() { window.looks += 1; return window.client.debug() } }
    })
    const looks = () => page.evaluate(() => window.looks)
    await until(async () => await looks() > 2, 'the panel looks again and again')
    for (const hide of [
      () => { document.querySelector('coweave-panel').hidden = true },
      () => {
        const panel = document.querySelector('coweave-panel')
        panel.hidden = false
        panel.remove()
      },
    ]) {
      await page.evaluate(hide)
      // Two frames let the browser see that it is hidden; then three refreshes would have come.
      const [before, later] = await page.evaluate(async () => {
        await new Promise(resolve => requestAnimationFrame(() => requestAnimationFrame(resolve)))
        const seen = window.looks
        await new Promise(resolve => setTimeout(resolve, 1_500))
        return [seen, window.looks]
      })
      assert.equal(later, before)
    }
  })

  it('leaves nothing behind when it is removed', async () => {
    const page = await inspected()
    await page.evaluate(async () => {
      document.querySelector('coweave-panel').remove()
      window.refs = []
      for (let i = 0; i < 30; i += 1) {
        const panel = document.createElement('coweave-panel')
        panel.client = window.client
        document.body.append(panel)
        window.refs.push(new WeakRef(panel))
        await new Promise(resolve => requestAnimationFrame(resolve))
        panel.remove()
      }
    })
    const cdp = await page.context().newCDPSession(page)
    await until(async () => {
      await cdp.send('HeapProfiler.collectGarbage')
      return page.evaluate(() => window.refs.every(ref => ref.deref() === undefined))
    }, 'all panels are gone')
  })

  it('can be imported where there are no elements', async () => {
    const { definePanel } = await import('../../npm/dist/panel.js')
    definePanel()
  })
})

/** The contrast of every color of the panel with its paper, by the formula of WCAG. */
function contrastsOfPanel() {
  const panel = document.querySelector('coweave-panel')
  const canvas = document.createElement('canvas').getContext('2d')
  const luminance = color => {
    canvas.fillStyle = color
    canvas.fillRect(0, 0, 1, 1)
    const [red, green, blue] = [...canvas.getImageData(0, 0, 1, 1).data].map(byte => {
      const share = byte / 255
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4
    })
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
  }
  const probe = document.createElement('i')
  panel.shadowRoot.append(probe)
  const resolve = name => {
    probe.style.color = `var(--${name})`
    return luminance(getComputedStyle(probe).color)
  }
  const paper = resolve('paper')
  const contrasts = {}
  for (const name of ['ink', 'muted', 'good', 'wait', 'bad']) {
    const other = resolve(name)
    contrasts[name] = (Math.max(paper, other) + 0.05) / (Math.min(paper, other) + 0.05)
  }
  probe.remove()
  return contrasts
}
