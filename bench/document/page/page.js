// The page: measures the library that its address names, as the benchmark asks for.

import { memoryBytes, noteMemories } from '../memories.js'
import { workloads } from '../workloads.js'

/** Of the clock of an isolated page; that of others goes in steps of 100. */
const STEP_US = 5
if (!crossOriginIsolated) throw new Error('the page is not isolated: its clock is too coarse for a key')

noteMemories()
const name = new URLSearchParams(location.search).get('library')
// Only after the memories are noted.
const libraries = import.meta.glob('../libraries/*.js')
const library = await libraries[`../libraries/${name}.js`]()

const environment = {
  /** Of the clock, in microseconds. */
  step: STEP_US,
  spent: () => performance.now() * 1_000,
  bytesInUse: async () => await heapBytes() + memoryBytes(),
}
const read = async path => new Uint8Array(await (await fetch(`/${path}`)).arrayBuffer())

globalThis.measure = async (workload, limit) => {
  const { format } = library
  const context = {
    library,
    environment,
    limit,
    history: await (await fetch('/history.json')).json(),
    state: await read(`${format}.state`),
    half: { state: await read(`${format}.half`), difference: await read(`${format}.difference`) },
    paragraphs: await read('yjs.paragraphs'),
  }
  return workloads[workload](context)
}
