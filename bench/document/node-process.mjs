// A library in a Node process of its own.

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

/** Longer than any measurement with its preparations takes. */
const MEASURE_MS_MAX = 180_000

export class NodeProcess {
  #child

  static async start(library, folder) {
    const started = new NodeProcess()
    started.#child = fork(fileURLToPath(new URL('node-runner.mjs', import.meta.url)), [library, folder], {
      execArgv: ['--expose-gc'],
    })
    await started.#answer(library, 'start')
    return started
  }

  async measure(workload, limit) {
    this.#child.send({ workload, limit })
    return this.#answer('measure', workload)
  }

  async #answer(...what) {
    const late = AbortSignal.timeout(MEASURE_MS_MAX)
    const [[answer]] = await Promise.race([
      once(this.#child, 'message', { signal: late }).then(values => [values]),
      once(this.#child, 'exit').then(([code]) => {
        throw new Error(`${what.join(' ')}: the process ended with ${code}`)
      }),
    ])
    if (answer.error !== undefined) throw new Error(`${what.join(' ')}: ${answer.error}`)
    return answer.result
  }

  async stop() {
    if (this.#child.exitCode !== null) return
    const ended = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await ended
  }
}
