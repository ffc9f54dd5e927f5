// Ports for servers that go away and come back.

import { createServer } from 'node:net'

/** Below the ports that systems hand out: whoever asks for any free one gets none of these while its server is away. */
const FIRST = 20_000
const COUNT = 8_000

const taken = new Set()

/** A port that is free, and stays it until somebody asks for it by its number. */
export async function lastingPort() {
  for (;;) {
    const port = FIRST + Math.floor(Math.random() * COUNT)
    if (taken.has(port) || !await isFree(port)) continue
    taken.add(port)
    return port
  }
}

function isFree(port) {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}
