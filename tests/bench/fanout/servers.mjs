// The servers that are compared: how each is started, and what its process has used so far.

import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'

import { Relay } from '../../harness/relay.mjs'
import { sleep, until } from '../../harness/until.mjs'

const SERVER_CORE = 0
const GENERATOR_CORE = 1
const TICKS_PER_SECOND = 100

/** Keeps server and generator out of each other's way; false where the machine cannot. */
export function pinGenerator() {
  if (availableParallelism() < 2) return false
  try {
    execFileSync('taskset', ['-a', '-c', '-p', String(GENERATOR_CORE), String(process.pid)], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

export function coweaveRelay(isPinned) {
  return {
    name: 'coweave-relay',
    async start() {
      const relay = await Relay.start({ prefix: pinPrefix(isPinned) })
      return { port: relay.port, pid: relay.pid, stop: () => relay.dispose() }
    },
  }
}

export function yWebsocketServer(isPinned) {
  const main = fileURLToPath(new URL('../node_modules/@y/websocket-server/src/server.js', import.meta.url))
  return {
    name: '@y/websocket-server',
    async start() {
      const port = await freePort()
      const [command, ...args] = [...pinPrefix(isPinned), process.execPath, main]
      const child = spawn(command, args, {
        stdio: 'ignore',
        env: { ...process.env, HOST: '127.0.0.1', PORT: String(port) },
      })
      const kill = () => child.kill('SIGKILL')
      process.once('exit', kill)
      await until(() => answers(port), '@y/websocket-server listens', 20_000)
      const stop = async () => {
        const exited = once(child, 'exit')
        kill()
        await exited
        process.off('exit', kill)
      }
      return { port, pid: child.pid, stop }
    },
  }
}

/** CPU seconds of a process since its start. */
export function cpuSeconds(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // The command name is in parentheses and may hold spaces; the fields count from behind it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}

/** Resident memory of a process in MiB. */
export function residentMib(pid) {
  const kib = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return Number(kib) / 1024
}

function pinPrefix(isPinned) {
  return isPinned ? ['taskset', '-c', String(SERVER_CORE)] : []
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await sleep(0)
  return port
}

function answers(port) {
  return new Promise(resolve => {
    const socket = connect({ host: '127.0.0.1', port })
    socket.once('connect', () => { socket.destroy(); resolve(true) })
    socket.once('error', () => resolve(false))
  })
}
