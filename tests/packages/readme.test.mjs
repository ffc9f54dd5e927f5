// What the package's README says of bundlers is what the projects beside this file do.

import assert from 'node:assert/strict'
import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { it } from 'node:test'
import { fileURLToPath } from 'node:url'

const folder = fileURLToPath(new URL('.', import.meta.url))
const readme = new URL('../../npm/README.md', import.meta.url)
/** Folders that no person writes. */
const MADE = ['node_modules', 'dist', 'dist-inline', '.next']

/** The text of everything in the projects that somebody wrote. */
async function written(folder) {
  const entries = await readdir(folder, { withFileTypes: true })
  const texts = entries.filter(({ name }) => !MADE.includes(name)).map(entry => {
    const path = join(folder, entry.name)
    return entry.isDirectory() ? written(path) : readFile(path, 'utf8')
  })
  return (await Promise.all(texts)).join('\n')
}

it('every line of code in the table of bundlers stands in a project', async () => {
  const [, section] = (await readFile(readme, 'utf8')).split('## Where it runs')
  const table = section.split('\n').filter(line => line.startsWith('| ')).join('\n')
  const lines = [...table.matchAll(/`((?:import|await|cp|<script) [^`]+)`/g)].map(([, line]) => line)
  assert.ok(lines.length >= 8, 'the table has code')
  const projects = await written(folder)
  for (const line of new Set(lines)) assert.ok(projects.includes(line), `no project has ${line}`)
})
