// The package as users get it: packed, unpacked into an app, and used there.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)
const root = fileURLToPath(new URL('..', import.meta.url))

const main = `
import {
  type Client, type CoweaveError, type Delta, type Room, type SharedArray, type SharedMap, type Text,
  connect, newArray, newMap, newText,
} from 'coweave'

interface Shown { readonly name: string }
interface Task { readonly title: string, readonly done: boolean, readonly tags: SharedArray<string> }
interface Meta { readonly title: string, readonly due?: number, readonly body: Text, readonly first: SharedMap<Task> }
const client: Client = connect('ws://127.0.0.1:9')
const room: Room<Shown> = client.room<Shown>('room')
room.on('refused', ({ error }: { readonly error: CoweaveError }) => console.log(error.code))
await room.loaded
const body = room.doc.text('body')
body.subscribe(change => {
  const delta: readonly Delta[] = change.delta
  for (const step of delta) if ('insert' in step) document.title = String(step.insert)
})
room.presence.subscribe(peers => peers.map(({ state }) => state.name.length))
body.insert(0, room.storage.kind)
{
  using subscription = room.on('status', () => undefined)
  using undo = room.doc.undo({ scope: body })
  console.log(subscription, undo.canUndo)
}
const [meta, list] = [room.doc.map<Meta>('meta'), room.doc.array<number>('list')]
meta.set('title', 'Plan')
meta.set('body', newText('inner'))
meta.set('first', newMap<Task>({ title: 'one', done: false, tags: newArray(['a']) }))
list.push(1, 2)
const title: string | undefined = meta.get('title')
const isDone: boolean | undefined = meta.get('first')?.get('done')
const tags: readonly string[] | undefined = meta.get('first')?.get('tags')?.toArray()
console.log(title, isDone, tags)
meta.subscribe(({ keys }) => keys.forEach(({ action }, key) => console.log(key, action)))
// Each of these must be an error for the compiler.
// @ts-expect-error
body.insert('0', 'x')
// @ts-expect-error
room.presence.set({ nme: 'Ana' })
// @ts-expect-error
room.status.retryAt
// @ts-expect-error
meta.set('title', 1)
// @ts-expect-error
meta.set('titel', 'Plan')
// @ts-expect-error
meta.set('due', undefined)
// @ts-expect-error
meta.set('title', newText('inner'))
// @ts-expect-error
meta.set('body', 'inner')
// @ts-expect-error
meta.set('body', body)
// @ts-expect-error
meta.set('first', { title: 'one', done: false, tags: ['a'] })
// @ts-expect-error
meta.set('first', newMap<Task>({ title: 1 }))
// @ts-expect-error
meta.set('first', newMap<Task>({ tags: newArray([1]) }))
// @ts-expect-error
meta.set('first', newArray(['a']))
// @ts-expect-error
meta.get('first')?.set('done', 'yes')
// @ts-expect-error
meta.get('first')?.get('tags')?.push(1)
// @ts-expect-error
meta.get('titel')
// @ts-expect-error
const wrong: number = meta.get('title')
// @ts-expect-error
list.push('1')
// @ts-expect-error
list.insert(0, 1, newText('1'))
// @ts-expect-error
list.insertAll(0, ['1'])
// @ts-expect-error
const first: string = list.toArray()[0]
`

/** An app with the packed package and nothing else of ours. */
async function app(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'coweave-app-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  await run('npm', ['pack', '--ignore-scripts', '--pack-destination', folder], { cwd: root })
  const archive = (await readdir(folder)).find(name => name.endsWith('.tgz'))
  assert.ok(archive !== undefined)
  await mkdir(join(folder, 'node_modules/coweave'), { recursive: true })
  const into = ['-C', join(folder, 'node_modules/coweave'), '--strip-components', '1']
  await run('tar', ['-xzf', join(folder, archive), ...into])
  await symlink(join(root, 'node_modules/ws'), join(folder, 'node_modules/ws'))
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }')
  await writeFile(join(folder, 'main.ts'), main)
  return folder
}

test('both entries work in Node, and end when they are disposed', async t => {
  const folder = await app(t)
  for (const entry of ['coweave', 'coweave/inline']) {
    const code = `
      import { connect, ready } from '${entry}'
      import { WebSocket } from 'ws'
      await Promise.all([ready(), ready()])
      const client = connect('ws://127.0.0.1:9', { webSocket: WebSocket })
      const room = client.room('room')
      await room.loaded
      room.doc.text('body').insert(0, '${entry}')
      console.log(String(room.doc.text('body')))
      client.dispose()`
    await writeFile(join(folder, 'main.js'), code)
    const { stdout } = await run('node', ['main.js'], { cwd: folder, timeout: 60_000 })
    assert.equal(stdout.trim(), entry)
  }
})

test('the types compile in a strict app, with no option but its own', async t => {
  const folder = await app(t)
  const options = ['--noEmit', '--strict', '--target', 'es2022', '--lib', 'es2022,dom']
  const resolution = ['--module', 'esnext', '--moduleResolution', 'bundler', '--types', '']
  const compiler = join(root, 'node_modules/typescript/bin/tsc')
  const found = await run('node', [compiler, ...options, ...resolution, 'main.ts'], { cwd: folder })
    .catch((error: unknown) => error as { readonly stdout: string })
  assert.equal(found.stdout, '')
})
