// `cargo xtask bench client`: Coweave in a browser beside yjs with y-indexeddb and y-websocket, in one run.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

import { chromium } from 'playwright-core'

import { RunningStack, STACKS } from './stacks.mjs'
import { printTable } from './table.mjs'

const LAUNCH = {
  executablePath: process.env.COWEAVE_CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking'],
}
/** What is stored beforehand; typing the large one letter by letter would take an hour. */
const DOCUMENTS = [
  { room: 'small', title: '100 kB', length: 100_000, manner: { runWords: 12, isPasted: false } },
  { room: 'large', title: '5 MB', length: 5_000_000, manner: { runWords: 100, isPasted: true } },
]
const FILL_MS_MAX = 600_000

const { values } = parseArgs({ options: { runs: { type: 'string', default: '5' } } })
const runs = Number(values.runs)
if (!Number.isInteger(runs) || runs < 1) throw new Error('--runs needs a number')

const folder = await mkdtemp(join(tmpdir(), 'coweave-bench-'))
const stacks = []
let browser
let profile
try {
  for (const stack of STACKS) stacks.push(await RunningStack.start(stack, folder))
  browser = await chromium.launch(LAUNCH)
  profile = await chromium.launchPersistentContext(join(folder, 'profile'), LAUNCH)
  await measureAll()
} finally {
  await profile?.close()
  await browser?.close()
  for (const stack of stacks) await stack.stop()
  await rm(folder, { recursive: true, force: true })
}

async function measureAll() {
  console.log(`Medians of ${runs} fresh pages each, in ${browser.version()}; the pages come from this machine.`)
  printTable('bytes to download, without the page itself', stacks, ['raw', 'gzip', 'brotli'].map(kind => (
    { title: kind, unit: 'kB', values: stacks.map(({ bytes }) => bytes[kind] / 1000) }
  )))
  for (const document of DOCUMENTS) for (const stack of stacks) await fill(stack, document)
  await measureStarts('the server is there')
  for (const stack of stacks) await stack.stopServer()
  await measureStarts('the server is down')
}

/** Writes a document by editing it, and leaves it on the device. */
async function fill(stack, { room, length, manner }) {
  const page = await open(profile, stack.url(room))
  page.setDefaultTimeout(FILL_MS_MAX)
  const reached = await page.evaluate(([length, manner]) => fill(length, manner), [length, manner])
  if (reached < length) throw new Error(`${stack.title} has only ${reached} characters of ${length}`)
  await page.close()
}

async function measureStarts(title) {
  const cold = await interleaved(async stack => {
    const context = await browser.newContext()
    const { measured } = await visit(context, stack.url('nobody was here', true))
    await context.close()
    return measured
  })
  const rows = [
    row('first visit, empty room: script to usable', cold, 'fromScript'),
    row('first visit, empty room: page to usable', cold, 'fromNavigation'),
  ]
  const phases = []
  for (const document of DOCUMENTS) {
    const warm = await interleaved(async stack => {
      const { measured } = await visit(profile, stack.url(document.room))
      if (measured.length < document.length) throw new Error(`${stack.title} shows ${measured.length} characters`)
      return measured
    })
    rows.push(row(`${document.title} on the device: page to text`, warm, 'fromNavigation'))
    const [{ module, loaded }] = [phasesOf(warm[0])]
    phases.push(`${document.title}: module after ${module.toFixed(0)} ms, room loaded after ${loaded.toFixed(0)} ms`)
  }
  printTable(title, stacks, rows)
  console.log(`  of this, in coweave: ${phases.join('; ')}`)
}

/** Measures all stacks in turns; answers with the results of each stack. */
async function interleaved(measure) {
  const results = stacks.map(() => [])
  for (let run = 0; run < runs; run += 1) {
    for (const [index, stack] of stacks.entries()) results[index].push(await measure(stack))
  }
  return results
}

function row(title, results, key) {
  return { title, unit: 'ms', values: results.map(of => median(of.map(measured => measured[key]))) }
}

function phasesOf(results) {
  const phase = name => median(results.map(({ phases }) => phases[name]))
  return { module: phase('module'), loaded: phase('loaded') }
}

function median(numbers) {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)]
}

async function open(context, url) {
  const page = await context.newPage()
  const problems = []
  page.on('pageerror', error => problems.push(String(error)))
  await page.goto(url)
  await page.waitForFunction(() => 'measured' in globalThis, null, { timeout: 60_000 }).catch(error => {
    throw new Error(`${url} does not start: ${problems.join('; ')}`, { cause: error })
  })
  return page
}

async function visit(context, url) {
  const page = await open(context, url)
  const measured = await page.evaluate(() => globalThis.measured)
  await page.close()
  return { measured }
}
