// Starts Debian's Chromium for the tests; `COWEAVE_CHROMIUM` names another one.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, readdir } from 'node:fs/promises'

import { chromium } from 'playwright-core'

const ARGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync',
]

const START_MS_MAX = 30_000
const GONE_MS_MAX = 10_000

const executablePath = process.env.COWEAVE_CHROMIUM ?? '/usr/bin/chromium'

export function launchChromium() {
  return chromium.launch({ executablePath, args: ARGS })
}

/** A browser with a profile that outlives it, to be killed as a whole, or closed as people do. */
export async function startChromium(t, profile) {
  const own = ['--headless', '--remote-debugging-port=0', `--user-data-dir=${profile}`, 'about:blank']
  // A group of its own, so that no part of it outlives the kill.
  const child = spawn(executablePath, [...ARGS, ...own], { detached: true, stdio: ['ignore', 'ignore', 'pipe'] })
  const exited = once(child, 'exit')
  let isDead = false
  const kill = async () => {
    if (isDead) return
    isDead = true
    process.kill(-child.pid, 'SIGKILL')
    await exited
    // A part of it that still holds the profile's files makes the next browser begin with new ones.
    for (const end = performance.now() + GONE_MS_MAX; await isThere(child.pid);) {
      if (performance.now() > end) throw new Error('A part of the killed browser is still there.')
      await new Promise(resolve => setTimeout(resolve, 5))
    }
  }
  t.after(kill)
  const address = await new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('The browser does not start.')), START_MS_MAX)
    let said = ''
    child.stderr.setEncoding('utf8').on('data', text => {
      said += text
      const found = /DevTools listening on (ws:\S+)/.exec(said)
      if (found === null) return
      clearTimeout(timer)
      resolve(found[1])
    })
  })
  const browser = await chromium.connectOverCDP(address)
  const close = async () => {
    const session = await browser.newBrowserCDPSession()
    await session.send('Browser.close')
    await exited
    isDead = true
  }
  return { context: browser.contexts()[0], close, kill }
}

/** Whether anything of a process group still runs. What waits to be reaped does not, unless a thread of it does. */
async function isThere(group) {
  const processes = (await readdir('/proc')).filter(name => /^\d+$/.test(name))
  const running = await Promise.all(processes.map(async id => {
    try {
      const stat = await readFile(`/proc/${id}/stat`, 'utf8')
      // Behind the name, which may hold anything: the state, the parent, the group.
      const [state, , its] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      return Number(its) === group && (state !== 'Z' || (await readdir(`/proc/${id}/task`)).length > 1)
    } catch {
      return false
    }
  }))
  return running.includes(true)
}
