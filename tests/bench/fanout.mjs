// Prints the relay and @y/websocket-server side by side on the same fan-out load, in one run:
// `COWEAVE_RELAY=<release binary> node fanout.mjs [--quick]`.

import { parseArgs } from 'node:util'

import { runLoad } from './fanout/load.mjs'
import { coweaveRelay, cpuSeconds, pinGenerator, residentMib, yWebsocketServer } from './fanout/servers.mjs'

const { values: options } = parseArgs({ options: { quick: { type: 'boolean', default: false } } })
const runCount = options.quick ? 1 : 3
const secondsPerRun = options.quick ? 4 : 8
const secondsPerStep = 2
const p99MsMax = 100
const rateMin = 20
// Above it the generator may be what is slow, and the figure is a lower bound.
const generatorShareMax = 0.95

const oneRoom = { title: '1 room × 50 clients, 5 of them write 10 updates/s', shape: { rooms: 1, clients: 50, writers: 5 }, rate: 50 }
const manyRooms = { title: '50 rooms × 5 clients, 2 of them write 5 updates/s', shape: { rooms: 50, clients: 5, writers: 2 }, rate: 500 }
const saturation = { title: '1 room × 100 clients, 10 write as fast as p99 stays under 100 ms', shape: { rooms: 1, clients: 100, writers: 10 } }

const isPinned = pinGenerator()
const servers = [coweaveRelay(isPinned), yWebsocketServer(isPinned)]
let hasFailed = false

print([
  '# Fan-out over y-websocket',
  '',
  `Median of ${runCount} interleaved run${runCount > 1 ? 's' : ''}; ${isPinned ? 'the server has core 0, the generator core 1' : 'server and generator share all cores'}.`,
  'coweave-relay writes every update to its log on disk; @y/websocket-server keeps documents in memory (its default).',
  'A delivery is one update at one receiver other than its writer; all of them are checked.',
])
await fixedRate(oneRoom)
await fixedRate(manyRooms)
await saturate(saturation)
process.exitCode = hasFailed ? 1 : 0

async function fixedRate({ title, shape, rate }) {
  const results = await interleaved(async ({ port, usage }) => {
    return runLoad({ port, shape, rate, seconds: secondsPerRun, usage })
  })
  print(['', `## ${title}`, '', ...table(
    ['server', 'deliveries/s', 'p50 ms', 'p99 ms', 'server CPU s', 'µs per delivery', 'RSS MiB', 'complete'],
    results.map(({ name, runs }) => [
      name,
      median(runs, run => run.deliveriesPerSecond).toFixed(0),
      median(runs, run => run.p50).toFixed(2),
      median(runs, run => run.p99).toFixed(2),
      median(runs, run => run.cpuSeconds).toFixed(2),
      median(runs, run => (run.cpuSeconds / run.deliveries) * 1e6).toFixed(1),
      median(runs, run => run.residentMib).toFixed(0),
      completeness(runs),
    ]),
  )])
}

async function saturate({ title, shape }) {
  const results = await interleaved(({ port, usage }) => highestRate(port, shape, usage))
  print(['', `## ${title}`, '', ...table(
    ['server', 'deliveries/s', 'updates/s in', 'p99 ms', 'server CPU', 'µs per delivery', 'RSS MiB', 'generator CPU', 'stopped by', 'complete'],
    results.map(({ name, runs }) => [
      name,
      median(runs, run => run.deliveriesPerSecond).toFixed(0),
      median(runs, run => run.updatesPerSecond).toFixed(0),
      median(runs, run => run.p99).toFixed(1),
      percent(median(runs, run => run.cpuSeconds / (run.deliveries / run.deliveriesPerSecond))),
      median(runs, run => (run.cpuSeconds / run.deliveries) * 1e6).toFixed(1),
      median(runs, run => run.residentMib).toFixed(0),
      percent(median(runs, run => run.generatorShare)),
      [...new Set(runs.map(run => run.stoppedBy))].join(', '),
      completeness(runs),
    ]),
  )])
}

/** Raises the rate by half until a step does not pass, then closes in twice; each step has its own room. */
async function highestRate(port, shape, usage) {
  let best = null
  let failedRate = Infinity
  let stoppedBy = ''
  let rate = 300
  for (let closings = 0; closings < 3 && rate >= rateMin;) {
    const step = await runLoad({ port, shape, rate, seconds: secondsPerStep, usage })
    if (step.p99 <= p99MsMax && step.isOnTime && step.failures.length === 0) {
      best = step
    } else {
      failedRate = rate
      const isGeneratorBusy = !step.isOnTime || step.generatorShare > generatorShareMax
      stoppedBy = step.failures[0] ?? (isGeneratorBusy ? 'the generator' : 'latency')
    }
    if (best !== null && failedRate !== Infinity) closings += 1
    rate = nextRate(best?.updatesPerSecond ?? 0, failedRate, rate)
  }
  if (best === null) throw new Error(`The machine is too busy to measure: not even ${rateMin} updates/s passed (${stoppedBy}).`)
  return { ...best, stoppedBy }
}

function nextRate(passedRate, failedRate, rate) {
  return failedRate === Infinity ? rate * 1.5 : (passedRate + failedRate) / 2
}

/** Runs a load against every server in turn, as often as asked, each time in a new process. */
async function interleaved(load) {
  const results = servers.map(({ name }) => ({ name, runs: [] }))
  for (let run = 0; run < runCount; run += 1) {
    for (const [index, server] of servers.entries()) {
      progress(`run ${run + 1} of ${runCount}: ${server.name}`)
      const process = await server.start()
      try {
        const usage = () => usageOf(process.pid)
        const warmUp = { rooms: 1, clients: 20, writers: 5 }
        await runLoad({ port: process.port, shape: warmUp, rate: 500, seconds: 1, usage })
        results[index].runs.push(await load({ port: process.port, usage }))
      } finally {
        await process.stop()
      }
    }
  }
  return results
}

function usageOf(pid) {
  const { user, system } = process.cpuUsage()
  return { cpuSeconds: cpuSeconds(pid), generatorSeconds: (user + system) / 1e6, residentMib: residentMib(pid) }
}

function completeness(runs) {
  const failures = [...new Set(runs.flatMap(run => run.failures))]
  if (failures.length === 0) return 'yes'
  hasFailed = true
  return `NO: ${failures.join('; ')}`
}

function median(runs, valueOf) {
  const sorted = runs.map(valueOf).sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)]
}

function percent(share) {
  return `${(share * 100).toFixed(0)} %`
}

function table(head, rows) {
  const all = [head, ...rows]
  const widths = head.map((_, column) => Math.max(...all.map(row => row[column].length)))
  const line = row => `| ${row.map((cell, column) => (column === 0 ? cell.padEnd(widths[column]) : cell.padStart(widths[column]))).join(' | ')} |`
  const rule = `|${widths.map((width, column) => (column === 0 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`
  return [line(head), rule, ...rows.map(line)]
}

function print(lines) {
  process.stdout.write(`${lines.join('\n')}\n`)
}

function progress(text) {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${text}`)
}
