// The page as people see it, on a desktop in light and dark and on a phone; pictures are kept for a look.

import assert from 'node:assert/strict'
import { mkdir } from 'node:fs/promises'
import { after, before, it } from 'node:test'
import { fileURLToPath } from 'node:url'

import { Relay } from '../harness/relay.mjs'
import { sleep, until } from '../harness/until.mjs'
import { launchChromium } from './chromium.mjs'
import { introduce, openNotes } from './notes-page.mjs'

const dist = fileURLToPath(new URL('../../examples/notes/dist', import.meta.url))
const pictures = fileURLToPath(new URL('../../target/screenshots/', import.meta.url))
const roomName = 'garden plan'
const LABELS_HIDDEN_MS = 4_500
const NOTE = `What we plant this spring

The bed by the wall gets the tomatoes: it is warm until the evening, and the gutter is close. Beans along the fence, where last year’s did so well, and marigolds between them 🌼

• tomatoes, 6 (Ana has seedlings)
• runner beans
• two rows of carrots, if the soil is loose enough

Who brings the ladder on Saturday?`

const DESKTOP = { viewport: { width: 1200, height: 800 } }
const PHONE = { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 }

let browser
let relay

before(async () => {
  await mkdir(pictures, { recursive: true })
  relay = await Relay.start({ args: ['--static-dir', dist] })
  browser = await launchChromium()
})
after(async () => {
  await browser.close()
  await relay.dispose()
})

async function open(options, identity) {
  const context = await browser.newContext(options)
  await introduce(context, identity)
  return openNotes(context, { origin: relay.httpUrl, roomName })
}

function picture(notes, name) {
  return notes.page.screenshot({ path: `${pictures}${name}.png` })
}

/** Nothing is cut off, nothing makes the page scroll sideways, and the layers of the paper agree. */
async function checkLayout(notes) {
  const layout = await notes.page.evaluate(() => ({
    overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    hidden: [...document.querySelectorAll('header :is(h1, span, input, button)')]
      .filter(element => element.scrollWidth > element.clientWidth + 1 && element.clientWidth > 0)
      .map(element => element.id || element.className),
    text: document.getElementById('text').scrollHeight,
    mirror: document.getElementById('mirror').scrollHeight,
  }))
  assert.equal(layout.overflow, 0)
  assert.deepEqual(layout.hidden, [])
  assert.ok(layout.text <= layout.mirror, `the mirror (${layout.mirror}) is as tall as the text (${layout.text})`)
}

it('three people look at the same note', async () => {
  const ana = await open({ ...DESKTOP, colorScheme: 'light' }, { name: 'Ana', color: '#c2683f' })
  await ana.area.focus()
  await ana.page.keyboard.insertText(NOTE)
  const otter = await open({ ...DESKTOP, colorScheme: 'dark' }, { name: 'Quiet Otter', color: '#3b6fb5' })
  const finch = await open({ ...PHONE, colorScheme: 'light' }, { name: 'Merry Finch', color: '#2f7d6b' })
  await finch.untilContent(NOTE)
  const gutter = NOTE.indexOf('gutter')
  await otter.caretTo(gutter, gutter + 60)
  await finch.caretTo(NOTE.length)
  await finch.type(' I can!')
  await ana.untilContent(`${NOTE} I can!`)
  await ana.untilSaved()
  await until(async () => (await ana.carets()).length === 2, 'Ana sees two carets')
  for (const notes of [ana, otter, finch]) {
    let people
    await until(async () => {
      people = await notes.page.locator('#people li').evaluateAll(items => items.map(item => item.ariaLabel.replace(' (you)', '')))
      return people.sort().join() === 'Ana,Merry Finch,Quiet Otter'
    }, () => `all three are there, not ${people}`)
  }
  await sleep(400)
  await picture(ana, 'desktop-light')
  await picture(otter, 'desktop-dark')
  await picture(finch, 'phone-light')
  for (const notes of [ana, otter, finch]) await checkLayout(notes)

  const height = await finch.page.locator('header').evaluate(header => header.offsetHeight)
  await relay.kill()
  await finch.type(' Or two of us.')
  await finch.untilSaved('On this device')
  await finch.untilConnection(/^Offline/)
  await sleep(LABELS_HIDDEN_MS)
  await picture(finch, 'phone-offline')
  await checkLayout(finch)
  assert.equal(await finch.page.locator('header').evaluate(header => header.offsetHeight), height, 'no layout shift')
  await relay.start()
})

it('an empty note on a small dark phone, with the keyboard alone', async () => {
  const context = await browser.newContext({ viewport: { width: 320, height: 568 }, colorScheme: 'dark' })
  const notes = await openNotes(context, { origin: relay.httpUrl, roomName: 'a note with a rather long name for a phone' })
  await notes.untilConnection(/^Live$/)
  const order = []
  for (let i = 0; i < 4; i += 1) {
    await notes.page.keyboard.press('Tab')
    order.push(await notes.page.evaluate(() => document.activeElement.id))
  }
  assert.deepEqual(order, ['my-color', 'my-name', 'share', 'text'])
  await notes.page.locator('#my-name').fill('Somebody With A Long Name')
  await picture(notes, 'phone-dark-empty')
  const overflow = await notes.page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)
  assert.equal(overflow, 0)
})

it('whoever asks whether it is saved gets the panel, on a phone and with the keyboard alone', async () => {
  const notes = await open({ ...PHONE, colorScheme: 'light' }, { name: 'Ana', color: '#c2683f' })
  await notes.type('A line')
  await notes.untilSaved()
  await notes.page.locator('#inspect').focus()
  await notes.page.keyboard.press('Enter')
  const panel = notes.page.locator('coweave-panel')
  await until(async () => (await panel.locator('.verdict').innerText()) === 'Everything is saved.', 'the panel says so')
  await picture(notes, 'phone-panel')
  await checkLayout(notes)
  await notes.page.keyboard.press('Escape')
  assert.equal(await panel.count(), 0)
  assert.equal(await notes.page.evaluate(() => document.activeElement.id), 'inspect')
})

it('a name is kept for the next visit, and a link can be copied', async () => {
  const context = await browser.newContext({ permissions: ['clipboard-read', 'clipboard-write'] })
  const notes = await openNotes(context, { origin: relay.httpUrl, roomName })
  await notes.page.locator('#my-name').fill('Zoë')
  await notes.page.locator('#share').click()
  const link = await notes.page.evaluate(() => navigator.clipboard.readText())
  assert.equal(new URL(link).searchParams.get('room'), roomName)
  const later = await openNotes(context, { origin: relay.httpUrl, roomName })
  assert.equal(await later.page.locator('#my-name').inputValue(), 'Zoë')
})
