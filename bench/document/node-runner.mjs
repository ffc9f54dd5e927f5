// Measures one library in a Node process of its own, as its parent asks for.

import { readFile } from 'node:fs/promises'

import { memoryBytes, noteMemories } from './memories.js'

noteMemories()
const [, , name, folder] = process.argv
const library = await import(`./libraries/${name}.js`)
const { workloads } = await import('./workloads.js')
const { prepare } = await import('./prepare.js')

const environment = {
  /** The processor's time of this process, in microseconds. */
  spent: () => {
    const { user, system } = process.cpuUsage()
    return user + system
  },
  bytesInUse: async () => {
    for (let round = 0; round < 3; round += 1) {
      globalThis.gc()
      await new Promise(resolve => setTimeout(resolve, 20))
    }
    const { heapUsed, arrayBuffers } = process.memoryUsage()
    return heapUsed + arrayBuffers + memoryBytes()
  },
}
const read = async path => {
  const bytes = await readFile(`${folder}/${path}`)
  return new Uint8Array(bytes)
}

let context
process.on('message', async ({ workload, limit }) => {
  try {
    if (workload === 'prepare') {
      const history = JSON.parse(await readFile(`${folder}/history.json`, 'utf8'))
      process.send({ result: await prepare(library, history, folder) })
      return
    }
    context ??= {
      library,
      environment,
      history: JSON.parse(await readFile(`${folder}/history.json`, 'utf8')),
      state: await read(`${library.format}.state`),
      half: { state: await read(`${library.format}.half`), difference: await read(`${library.format}.difference`) },
      paragraphs: await read('yjs.paragraphs'),
    }
    process.send({ result: await workloads[workload]({ ...context, limit }) })
  } catch (error) {
    process.send({ error: String(error.stack) })
  }
})
process.send({ result: 'ready' })
