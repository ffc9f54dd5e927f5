// Maps, arrays, rich text and trees, as an app uses them.

import assert from 'node:assert/strict'
import test from 'node:test'
import * as Y from 'yjs'
import {
  type DeepChange,
  type MapChange,
  type New,
  type SharedArray,
  type SharedMap,
  type XmlElement,
  type XmlText,
  newArray,
  newMap,
  newText,
  newXmlElement,
  newXmlText,
} from 'coweave'
import { Relay, client, needsRelay, open, turn, until } from './world.js'

interface Task {
  title: string
  done: boolean
  tags: SharedArray<string>
}

test('a large map counts and names its entries in the order that they have', async t => {
  const { doc } = await open(t)
  const map = doc.map('large')
  assert.deepEqual([map.size, map.keys()], [0, []])
  const names = ['', '10', '9', 'b"\\', 'a', '__proto__', '\u0000 ', 'é', '😀']
  for (let at = 0; at < 3000; at += 1) names.push(`entry ${String(at)}`)
  doc.transact(() => {
    for (const name of names) map.set(name, { name })
  })
  assert.equal(map.size, names.length)
  assert.deepEqual(map.keys(), Object.keys(map.entries()))
  assert.deepEqual(new Set(map.keys()), new Set(names))
  assert.deepEqual(map.keys().slice(0, 2), ['9', '10'])

  map.delete('entry 7')
  map.set('entry 8', 'again')
  assert.equal(map.size, names.length - 1)
  assert.ok(!map.keys().includes('entry 7') && map.keys().includes('entry 8'))
})

test('a map holds plain values as they are, and shared types as handles with identity', async t => {
  const { doc } = await open(t)
  const map = doc.map('meta')
  const values = {
    text: 'plain 😀 "quoted" \\ \n\u0001',
    number: 1.5,
    large: 2 ** 60,
    huge: 1e300,
    integer: -(2 ** 40),
    yes: true,
    nothing: null,
    bytes: new Uint8Array([0, 1, 127, 128, 255]),
    list: [1, 'two', [3], { four: null }],
    object: { nested: { deeply: [new Uint8Array([7])] }, __proto__key: 1 },
  }
  for (const [key, value] of Object.entries(values)) map.set(key, value)
  for (const [key, value] of Object.entries(values)) assert.deepEqual(map.get(key), value, key)
  assert.deepEqual(map.toJSON(), values)
  assert.deepEqual(map.keys(), Object.keys(values).sort())
  assert.equal(map.size, 10)
  assert.equal(map.get('missing'), undefined)
  assert.ok(map.has('nothing') && !map.has('missing'))
  map.delete('list')
  map.delete('missing')
  assert.ok(!map.has('list'))

  const tasks = doc.map<{ first: SharedMap<Task> }>('tasks')
  tasks.set('first', newMap<Task>({ title: 'write', done: false, tags: newArray(['a', 'b']) }))
  const first = tasks.get('first')
  assert.ok(first !== undefined)
  assert.equal(first, tasks.get('first'))
  assert.equal(first.get('title'), 'write')
  const tags = first.get('tags')
  assert.equal(tags, first.get('tags'))
  tags?.push('c')
  assert.deepEqual(tasks.toJSON(), {
    first: { title: 'write', done: false, tags: ['a', 'b', 'c'] },
  })
  assert.equal(doc.map('tasks'), tasks)
})

test('an array takes values and shared types in any order', async t => {
  const { doc } = await open(t)
  const array = doc.array('list')
  array.push(1, 'two', newMap({ three: 3 }), null, newText('four'), [5])
  array.insert(1, 1.5)
  assert.deepEqual(array.toJSON(), [1, 1.5, 'two', { three: 3 }, null, 'four', [5]])
  assert.equal(array.length, 7)
  assert.equal(array.get(2), 'two')
  assert.equal(array.get(7), undefined)
  assert.equal(String(array.get(5)), 'four')
  assert.deepEqual([...array].length, 7)
  array.delete(1, 3)
  assert.deepEqual(array.toJSON(), [1, null, 'four', [5]])
  array.delete(0, 0)
  assert.throws(() => { array.delete(3, 2) }, { code: 'api.out_of_range' })
  assert.throws(() => { array.insert(5, 'x') }, { code: 'api.out_of_range' })
})

test('what is written is read once', async t => {
  const { doc } = await open(t)
  const text = doc.text('body')
  text.insert(0, 'Hello')
  let reads = 0
  const value = { get bold() { reads += 1; return true } }
  const writes: Readonly<Record<string, () => void>> = {
    format: () => { text.format(0, 1, value) },
    insert: () => { text.insert(0, 'x', value) },
    embed: () => { text.embed(0, value, {}) },
    applyDelta: () => { text.applyDelta([{ retain: 1, attributes: value }]) },
    set: () => { doc.map('meta').set('key', value) },
    push: () => { doc.array('list').push(value) },
  }
  for (const [name, write] of Object.entries(writes)) {
    reads = 0
    write()
    assert.equal(reads, 1, name)
  }
})

test('a text has formats and embeds', async t => {
  const { doc } = await open(t)
  const text = doc.text('body')
  text.insert(0, 'Hello world')
  text.format(0, 5, { bold: true, color: 'red' })
  text.insert(5, '!')
  text.insert(6, ' plain', {})
  text.embed(0, { image: 'a.png' })
  assert.deepEqual(text.toDelta(), [
    { insert: { image: 'a.png' } },
    { insert: 'Hello!', attributes: { bold: true, color: 'red' } },
    { insert: ' plain world' },
  ])
  assert.equal(text.toString(), '\ufffcHello! plain world')
  text.format(1, 5, { bold: null })
  text.applyDelta([{ retain: 1 }, { delete: 5 }, { insert: 'Bye', attributes: { em: {} } }])
  assert.deepEqual(text.toDelta(), [
    { insert: { image: 'a.png' } },
    { insert: 'Bye', attributes: { em: {} } },
    { insert: '!', attributes: { bold: true, color: 'red' } },
    { insert: ' plain world' },
  ])
  const map = newMap({ shared: true })
  text.embed(text.length, map)
  const last = text.toDelta().at(-1)
  assert.ok(last !== undefined && 'insert' in last)
  assert.deepEqual((last.insert as SharedMap).toJSON(), { shared: true })
})

test('a tree of elements is built, read and changed', async t => {
  const { doc } = await open(t)
  const tree = doc.xml('default')
  tree.push(
    newXmlElement('Heading', { level: 2, open: true }, [newXmlText('Title')]),
    newXmlElement('paragraph', {}, [
      newXmlText([{ insert: 'bold', attributes: { strong: {} } }, { insert: ' rest' }]),
      newXmlElement('image', { src: 'a.png' }),
    ]),
  )
  assert.deepEqual(tree.toJSON(), [
    { name: 'Heading', attributes: { level: 2, open: true }, children: [{ delta: [{ insert: 'Title' }] }] },
    {
      name: 'paragraph',
      attributes: {},
      children: [
        { delta: [{ insert: 'bold', attributes: { strong: {} } }, { insert: ' rest' }] },
        { name: 'image', attributes: { src: 'a.png' }, children: [] },
      ],
    },
  ])
  assert.equal(
    tree.toString(),
    '<heading level="2" open="true">Title</heading>'
    + '<paragraph><strong>bold</strong> rest<image src="a.png"></image></paragraph>',
  )
  const heading = tree.get(0) as XmlElement
  assert.equal(heading, tree.children()[0])
  assert.equal(heading.name, 'Heading')
  assert.equal(heading.getAttribute('level'), 2)
  heading.setAttribute('level', { custom: [1] })
  heading.removeAttribute('open')
  assert.deepEqual(heading.attributes(), { level: { custom: [1] } })
  const title = heading.get(0) as XmlText
  title.insert(5, '!')
  title.format(0, 1, { em: { class: 'x' } })
  assert.equal(title.toXml(), '<em class="x">T</em>itle!')
  tree.delete(1, 1)
  assert.equal(tree.length, 1)
  assert.throws(() => { tree.insert(0, newMap({}) as never) }, { code: 'api.wrong_type' })
})

test('changes tell what happened, once for each transaction, with origin and paths', async t => {
  const { doc } = await open(t)
  const map = doc.map('map')
  const changes: MapChange[] = []
  const deep: (readonly DeepChange[])[] = []
  map.subscribe(change => changes.push(change))
  map.subscribeDeep(change => deep.push(change))
  const origin = { any: 'value' }
  doc.transact(() => {
    map.set('a', 1)
    map.set('a', 2)
    map.set('list', newArray(['x']))
    map.set('gone', 1)
    map.delete('gone')
    const list = map.get('list') as SharedArray
    list.push('y')
  }, origin)
  assert.equal(changes.length, 0)
  await turn()
  assert.equal(changes.length, 1)
  assert.equal(changes[0]?.origin, origin)
  const list = map.get('list') as SharedArray
  assert.deepEqual([...changes[0]?.keys ?? []], [
    ['a', { action: 'add', before: undefined, after: 2 }],
    ['list', { action: 'add', before: undefined, after: list }],
  ])
  assert.equal(deep.length, 1)
  assert.deepEqual(deep[0]?.map(change => change.path), [[]])

  list.insert(0, newMap({ inner: 1 }))
  const inner = list.get(0) as SharedMap
  await turn()
  doc.transact(() => {
    inner.set('inner', 2)
    list.insert(0, 'first')
  })
  await turn()
  assert.deepEqual(deep.at(-1)?.map(({ target, path, delta, keys }) => ({ target, path, delta, keys: [...keys] })), [
    { target: list, path: ['list'], delta: [{ insert: ['first'] }], keys: [] },
    { target: inner, path: ['list', 1], delta: [], keys: [['inner', { action: 'update', before: 1, after: 2 }]] },
  ])
  assert.equal(changes.length, 1)
  map.set('a', 3)
  await turn()
  assert.equal(changes.at(-1)?.origin, undefined)
  assert.deepEqual(changes.at(-1)?.keys.get('a'), { action: 'update', before: 2, after: 3 })
})

test('a part that was deleted says so, and the rest works on', async t => {
  const { doc } = await open(t)
  const array = doc.array<SharedMap>('list')
  array.push(newMap({ a: 1 }))
  const map = array.get(0)
  assert.ok(map !== undefined)
  map.subscribe(() => undefined)
  array.delete(0, 1)
  for (const use of [
    () => map.get('a'),
    () => { map.set('a', 2) },
    () => map.toJSON(),
    () => { map.subscribeDeep(() => undefined) },
  ]) {
    assert.throws(use, { code: 'api.deleted' })
  }
  array.push(newMap({ b: 2 }))
  await turn()
  assert.deepEqual(array.toJSON(), [{ b: 2 }])
  assert.throws(() => doc.map('list'), { code: 'api.wrong_type' })
})

test('content that no document can hold is refused, and nothing is changed', async t => {
  const { doc } = await open(t)
  const map = doc.map('map')
  const cycle: unknown[] = []
  cycle.push({ cycle })
  let deep: unknown = 1
  for (let level = 0; level < 100; level += 1) deep = [deep]
  const wrong: [unknown, string][] = [
    [undefined, 'api.wrong_type'], [[undefined], 'api.wrong_type'], [() => 1, 'api.wrong_type'],
    [Symbol('x'), 'api.wrong_type'], [1n, 'api.wrong_type'], [NaN, 'api.wrong_type'],
    [[Infinity], 'api.wrong_type'], [cycle, 'api.wrong_type'], [new Date(), 'api.wrong_type'],
    [new Map(), 'api.wrong_type'], ['\ud800', 'api.split_surrogate'],
    [{ '\udfff': 1 }, 'api.split_surrogate'], [deep, 'api.too_deep'],
    [{ inside: newMap() }, 'api.wrong_type'], [map, 'api.wrong_type'],
    [{ '\u0000': [1, {}] }, 'api.wrong_type'], ['x'.repeat(5 << 20), 'update.too_large'],
  ]
  for (const [value, code] of wrong) {
    assert.throws(() => { map.set('key', value) }, { code }, String(code))
    assert.throws(() => { doc.array('array').push('before', value) }, { code })
  }
  const text = doc.text('text')
  text.insert(0, 'a😀b')
  for (const delta of [
    [{ retain: 5 }], [{ delete: 9 }], [{ retain: -1 }], [{}], [null], 'x', [{ insert: 1 }],
    [{ retain: 2 }, { insert: 'x' }], [{ insert: 'x', attributes: { a: () => 1 } }],
  ]) {
    assert.throws(() => { text.applyDelta(delta as never) }, /CoweaveError/)
  }
  assert.deepEqual([map.toJSON(), doc.array('array').toJSON(), String(text)], [{}, [], 'a😀b'])
})

test('two people change one document of all kinds', needsRelay, async t => {
  const relay = await Relay.start(t)
  const [ana, ben] = [client(t, relay.url).room('notes'), client(t, relay.url).room('notes')]
  await Promise.all([ana.synced, ben.synced])
  const seen: (readonly DeepChange[])[] = []
  ben.doc.xml('tree').subscribeDeep(changes => seen.push(changes))
  ana.doc.transact(() => {
    ana.doc.map('meta').set('title', 'Plan')
    ana.doc.array('list').push(1, newMap({ x: newText('inner') }))
    ana.doc.xml('tree').push(newXmlElement('p', { id: 1 }, [newXmlText('one')]))
  })
  await ana.flush()
  await until('it arrives', () => ben.doc.xml('tree').length === 1)
  const p = ben.doc.xml('tree').get(0) as XmlElement
  const text = p.get(0) as XmlText
  text.insert(3, ' two')
  p.setAttribute('id', 2)
  ;(ana.doc.xml('tree').get(0) as XmlElement).push(newXmlText('three'))
  await Promise.all([ana.flush(), ben.flush()])
  await until('both are equal', () =>
    ['tree'].every(name => String(ana.doc.xml(name)) === String(ben.doc.xml(name))))
  assert.equal(String(ben.doc.xml('tree')), '<p id="2">one twothree</p>')
  assert.deepEqual(ben.doc.map('meta').toJSON(), { title: 'Plan' })
  assert.deepEqual(ben.doc.array('list').toJSON(), [1, { x: 'inner' }])
  await turn()
  assert.deepEqual(seen.flat().map(({ path, local }) => [path, local]), [
    [[], false], [[0, 0], true], [[0], true], [[0], false],
  ])
})

test('values come back as they went, whatever their keys and digits', async t => {
  const { doc } = await open(t)
  const map = doc.map('map')
  for (const number of [7.8999999999999995, 0.43685480211440675, -0, 2 ** 53, 5e-324, 1.7976931348623157e308]) {
    map.set('number', number)
    assert.ok(Object.is(map.get('number'), number), String(number))
  }
  const text = doc.text('text')
  text.insert(0, 'ab')
  text.format(0, 1, { id: 2 ** 53, part: 0.1 + 0.2 })
  assert.deepEqual(text.toDelta()[0], { insert: 'a', attributes: { id: 2 ** 53, part: 0.1 + 0.2 } })
  const other = new Y.Doc()
  other.getMap('odd').set('\0', [9, 1, 1])
  other.getMap('odd').set('plain', 1)
  doc.applyUpdate(Y.encodeStateAsUpdate(other))
  assert.deepEqual(doc.map('odd').toJSON(), { '\0': [9, 1, 1], plain: 1 })
  assert.deepEqual(doc.map('odd').entries(), { '\0': [9, 1, 1], plain: 1 })
  for (const wrong of [
    () => { map.set('\0', 1) },
    () => { text.embed(0, { bytes: new Uint8Array(1) }) },
    () => { text.format(0, 1, { bytes: new Uint8Array(1) }) },
    () => { map.set('text', newText([{ delete: 1 }])) },
    () => { map.set('text', newText([{ insert: 'a' }, { retain: 4 }])) },
    () => { map.set('map', newMap(new Map([['a', 1]]) as never)) },
    () => { map.set('array', newArray(5 as never)) },
  ]) {
    assert.throws(wrong, { code: 'api.wrong_type' }, String(wrong))
  }
  assert.throws(() => { map.set('a', Array(1_000_000).fill(0.1)) }, { code: 'update.too_large' })
  assert.throws(() => { map.set('k'.repeat(9e6), 1) }, { code: 'update.too_large' })
  // Any bytes take the same space on their way.
  for (const byte of [0, 34, 255]) {
    map.set('bytes', new Uint8Array(1_500_000).fill(byte))
    assert.deepEqual(map.get('bytes'), new Uint8Array(1_500_000).fill(byte))
    assert.throws(() => { map.set('bytes', new Uint8Array(1_600_000).fill(byte)) }, { code: 'update.too_large' })
  }
  map.delete('bytes')
  let deep: New<SharedMap> = newMap()
  for (let level = 0; level < 60; level += 1) deep = newMap({ deep })
  assert.throws(() => { map.set('deep', deep) }, { code: 'api.too_deep' })
  const cycle: Record<string, unknown> = {}
  cycle['cycle'] = cycle
  assert.equal(text.resolve(cycle as never), null)
  assert.equal(text.resolve({ toJSON: () => undefined } as never), null)
})

test('who subscribes is not told of what the document held by then', async t => {
  const { doc } = await open(t)
  const text = doc.text('text')
  const [first, second]: [string[], string[]] = [[], []]
  const read = (into: string[]) => (change: { readonly delta: readonly unknown[] }): void => {
    into.push(JSON.stringify(change.delta))
  }
  const subscription = text.subscribe(read(first))
  text.insert(0, 'abc')
  const again = text.subscribe(read(second))
  text.insert(3, 'd')
  await turn()
  assert.deepEqual([first.length, second], [2, ['[{"retain":3},{"insert":"d"}]']])
  text.insert(0, 'x')
  subscription.dispose()
  again.dispose()
  text.subscribe(read(second))
  await turn()
  assert.equal(second.length, 1)
})
