// Packs the package once, and installs it into the tiny projects beside this file, as users do.

import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)
const packageFolder = fileURLToPath(new URL('../../npm', import.meta.url))
const STEP_MS_MAX = 600_000
/** What the tools keep between builds; it would hide that the package has changed. */
const LEFTOVERS = ['.next', 'dist', 'dist-inline', 'inline/dist', 'node_modules/.vite', 'node_modules/coweave']
const ENVIRONMENT = { ...process.env, NO_COLOR: '1', NEXT_TELEMETRY_DISABLED: '1' }

/** The package as it would be published: the path of the archive, and the paths in it. */
export async function pack() {
  const folder = await mkdtemp(join(tmpdir(), 'coweave-packed-'))
  const { stdout } = await run(
    'npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder], { cwd: packageFolder },
  )
  const [{ filename, files }] = JSON.parse(stdout)
  return {
    archive: join(folder, filename),
    paths: files.map(({ path }) => path),
    remove: () => rm(folder, { recursive: true, force: true }),
  }
}

/** A tiny project that uses the package. */
export class Consumer {
  constructor(name) {
    this.folder = fileURLToPath(new URL(name, import.meta.url))
  }

  /** What `npm ci` installed before stays; the package and what it needs come on top. */
  static async install(name, archive) {
    const consumer = new Consumer(name)
    await Promise.all(
      LEFTOVERS.map(path => rm(join(consumer.folder, path), { recursive: true, force: true })),
    )
    await consumer.run('npm', [
      'install', '--no-save', '--no-package-lock', '--prefer-offline', '--ignore-scripts',
      '--no-audit', '--no-fund', archive,
    ])
    return consumer
  }

  /** Runs a program to its end, and answers with what it printed. */
  async run(program, args) {
    const options = { cwd: this.folder, env: ENVIRONMENT, timeout: STEP_MS_MAX }
    try {
      return (await run(program, args, options)).stdout
    } catch (error) {
      throw new Error(`${error.message}\n${error.stdout}${error.stderr}`, { cause: error })
    }
  }

  /** Runs a tool that was installed with the project. */
  async runTool(name, args) {
    return this.run(join(this.folder, 'node_modules/.bin', name), args)
  }

  /** Starts a server that was installed with the project; it has printed its address when it is ready. */
  async serve(t, name, args) {
    const child = spawn(join(this.folder, 'node_modules/.bin', name), args, {
      cwd: this.folder,
      env: ENVIRONMENT,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    t.after(async () => {
      if (child.exitCode !== null || child.signalCode !== null) return
      const ended = once(child, 'exit')
      child.kill('SIGKILL')
      await ended
    })
    let printed = ''
    for await (const text of child.stdout.setEncoding('utf8').iterator({ destroyOnReturn: false })) {
      printed += text
      const address = /http:\/\/127\.0\.0\.1:[1-9]\d*/.exec(printed)
      if (address !== null) {
        child.stdout.resume()
        return address[0]
      }
    }
    throw new Error(`${name} ended before it was ready. It printed:\n${printed}`)
  }

  /** All wasm files below a folder of the project. */
  async wasmFiles(folder) {
    const paths = await readdir(join(this.folder, folder), { recursive: true })
    return paths.filter(path => path.endsWith('.wasm'))
  }
}
