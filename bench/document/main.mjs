// `cargo xtask bench document`: documents of Coweave beside those of its peers, in Node and in Chromium, in one run.

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

import { Browser } from './browser.mjs'
import { readHistory } from './histories.mjs'
import { NodeProcess } from './node-process.mjs'
import { printTable } from './tables.mjs'
import { workloads } from './workloads.js'

const LIBRARIES = ['coweave', 'yjs', 'ywasm', 'loro', 'automerge']
/** Those whose format others share, or that nobody shares, write down what the workloads begin with. */
const PREPARED = ['yjs', 'loro', 'automerge']
/** Whom the goals compare: they are measured in each run. */
const COMPARED = ['coweave', 'yjs']
/** Another library that takes so long for one workload is measured once. */
const ONCE_MS = 3_000
/** What comes out the same in each run and everywhere. */
const SAME = ['sizes']
/**
 * The patience with one of them at one workload, in seconds: what it got done by then is what counts. Others get
 * less of it.
 */
const FULL = { keysMax: Infinity, limit: 8, runs: 3 }
const QUICK = { keysMax: 60_000, limit: 2, runs: 1 }
const OTHERS = 0.4

const { values } = parseArgs({
  options: {
    'quick': { type: 'boolean', default: false },
    'only': { type: 'string' },
    'peers': { type: 'string' },
    'in': { type: 'string', default: 'node,chromium' },
    'runs': { type: 'string' },
  },
})
const { keysMax, limit, ...usual } = values.quick ? QUICK : FULL
const runs = Number(values.runs ?? usual.runs)
if (!Number.isInteger(runs) || runs < 1) throw new Error('--runs needs a number')
const chosen = choose(values.only, Object.keys(workloads), '--only')
const libraries = choose(values.peers, LIBRARIES, '--peers')
const places = choose(values.in, ['node', 'chromium'], '--in')

const began = performance.now()
const folder = await mkdtemp(join(tmpdir(), 'coweave-bench-'))
try {
  const history = readHistory(keysMax)
  await writeFile(join(folder, 'history.json'), JSON.stringify(history))
  console.log(`${history.title}: ${history.patches.length} keys; medians of ${runs} runs, library after library in each.`)
  console.log('(40 %): as far as it came within the patience; (once): too slow to be measured more than once.')
  await prepareStates()
  for (const place of places) {
    const some = place === places[0] ? chosen : chosen.filter(workload => !SAME.includes(workload))
    await (place === 'node' ? measureInNode(some) : measureInChromium(some))
  }
  console.log(`\nAll of it took ${((performance.now() - began) / 60_000).toFixed(1)} minutes.`)
} finally {
  await rm(folder, { recursive: true, force: true })
}

function choose(list, all, option) {
  const names = list?.split(',') ?? all
  const unknown = names.find(name => !all.includes(name))
  if (unknown !== undefined) throw new Error(`${option} knows no ${unknown}, only ${all.join(', ')}`)
  return all.filter(name => names.includes(name))
}

async function prepareStates() {
  for (const name of PREPARED.filter(name => name === 'yjs' || libraries.includes(name))) {
    const runner = await NodeProcess.start(name, folder)
    await runner.measure('prepare')
    await runner.stop()
  }
}

async function measureInNode(some) {
  console.log(`\n# Node ${process.versions.node}, time of the processor`)
  await measureAll(some, name => NodeProcess.start(name, folder))
}

async function measureInChromium(some) {
  const browser = await Browser.start(folder)
  try {
    console.log(`\n# Chromium ${browser.version}, time that passes`)
    console.log('Each key is measured by itself, by a clock of 5 µs steps: p50 and p99 are read between them.')
    await measureAll(some, name => browser.open(name))
  } finally {
    await browser.stop()
  }
}

/** A new process or page for each library in each workload and run: nobody pays for what was before. */
async function measureAll(some, start) {
  for (const workload of some) {
    const results = Object.fromEntries(libraries.map(name => [name, []]))
    const once = new Set()
    for (let run = 0; run < (SAME.includes(workload) ? 1 : runs); run += 1) {
      for (const name of libraries.filter(name => !once.has(name))) {
        const began = performance.now()
        const runner = await start(name)
        const isCompared = COMPARED.includes(name)
        try {
          results[name].push(await runner.measure(workload, isCompared ? limit : limit * OTHERS))
        } finally {
          await runner.stop()
        }
        if (runs > 1 && !isCompared && performance.now() - began > ONCE_MS) once.add(name)
      }
    }
    const medianOf = Object.fromEntries(libraries.map(name => [name, medians(results[name])]))
    printTable(workload, libraries, medianOf, once)
  }
}

function medians(results) {
  const keys = new Set(results.flatMap(Object.keys))
  return Object.fromEntries([...keys].map(key => {
    const numbers = results.map(result => result[key]).filter(number => number !== undefined).toSorted((a, b) => a - b)
    return [key, numbers[Math.floor(numbers.length / 2)]]
  }))
}
