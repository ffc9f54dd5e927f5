// Random edits as plain data: where, and what to do there.

import { units } from './compare.mjs'
import { Fresh, find } from './sides.mjs'

const DEPTH_MAX = 4
const PLAIN = ['a', 'hello ', 'wörld', 'é', '日本', '\n', 'lorem ipsum ', '0123456789']
const WORDS = [...PLAIN, '🙂', 'x🙂y', '👩‍👩‍👧']
const FORMATS = [
  { bold: true }, { bold: null }, { italic: true }, { italic: null }, { color: '#01' }, { color: '#02' },
  { bold: true, color: '#02' }, { link: { to: 'x', as: [1] } }, { link: null },
]
const EMBEDS = [{ image: 'src' }, { n: 7, list: [1, { é: null }] }, { text: 'é🙂' }]
const KEYS = ['a', 'b', 'c', 'd', '']
const NAMES = ['p', 'Div', 'h1']

/** A value that is nothing but data. */
function plain(random, depth = 2) {
  switch (random.below(depth > 0 ? 9 : 6)) {
    case 0:
      return null
    case 1:
      return random.chance(50)
    case 2:
      return random.of([0, 1, -7, 63, 64, 2 ** 31, -(2 ** 31), 2 ** 40, Number.MAX_SAFE_INTEGER])
    case 3:
      return random.of([0.5, -2.25, 1e21, 1e300, 0.1, 2 ** 60])
    case 4:
      return random.of(WORDS)
    case 5:
      return new Uint8Array([0, 127, random.below(256)])
    case 6:
    case 7:
      return Array.from({ length: random.below(4) }, () => plain(random, depth - 1))
    default:
      return Object.fromEntries(Array.from({ length: random.below(4) }, () => [random.of(KEYS), plain(random, depth - 1)]))
  }
}

const words = random => Array.from({ length: random.below(3) }, () => {
  return random.chance(50) ? { insert: random.of(WORDS) } : { insert: random.of(WORDS), attributes: positive(random) }
})

/** Formats of what is new. */
const positive = random => random.of(FORMATS.filter(formats => Object.values(formats).every(it => it !== null)))

function fresh(random, depth) {
  const inner = () => (depth > 0 && random.chance(30) ? fresh(random, depth - 1) : plain(random))
  switch (random.below(5)) {
    case 0:
      return new Fresh('map', random.chance(50) ? {} : { [random.of(KEYS)]: inner() })
    case 1:
      return new Fresh('array', Array.from({ length: random.below(3) }, inner))
    case 2:
      return new Fresh('text', words(random))
    case 3:
      return new Fresh('fragment', [])
    default:
      return child(random, depth)
  }
}

/** What can stand in an element. */
function child(random, depth) {
  if (random.chance(40)) return new Fresh('xmlText', words(random))
  const attributes = random.chance(40) ? { [random.of(KEYS)]: random.of(['x', 2, true, { a: 1 }]) } : {}
  const children = Array.from({ length: depth > 0 ? random.below(3) : 0 }, () => child(random, depth - 1))
  return new Fresh('element', { attributes, children }, random.of(NAMES))
}

/** A path to a part of a document, and its kind. */
function target(random, side, doc) {
  const path = [random.of(['text', 'text', 'text', 'map', 'array', 'xml', 'xml'])]
  for (;;) {
    const node = find(side, doc, path)
    const kind = side.kind(node)
    const inside = []
    if (kind === 'map') {
      for (const [key, value] of Object.entries(side.entries(node))) if (side.kind(value) !== null) inside.push(key)
    } else if (kind === 'text' || kind === 'xmlText') {
      let at = 0
      for (const { insert } of side.delta(node)) {
        if (side.kind(insert) !== null) inside.push(at)
        at += typeof insert === 'string' ? insert.length : 1
      }
    } else {
      side.items(node).forEach((value, index) => {
        if (side.kind(value) !== null) inside.push(index)
      })
    }
    if (inside.length === 0 || path.length > DEPTH_MAX || random.chance(35)) return { path, node, kind }
    path.push(random.of(inside.sort()))
  }
}

/** An index that lies on the border of a character, when `cuts` does not allow others. */
function border(text, index, cuts) {
  const unit = text.charCodeAt(index)
  const isInside = unit >= 0xdc00 && unit < 0xe000 && index > 0 && !cuts
  return isInside ? index - 1 : index
}

function textEdit(random, side, { path, node }, { cuts }) {
  const text = units(side, node)
  const at = border(text, random.below(text.length + 1), cuts)
  const end = Math.min(text.length, at + 1 + random.below(8))
  const length = border(text, end, cuts) - at
  switch (random.below(12)) {
    case 0:
    case 1:
    case 2:
    case 3:
      return { path, op: 'insertText', args: [at, random.of(WORDS)] }
    case 4:
      return { path, op: 'insertText', args: [at, random.of(WORDS), random.of([{}, positive(random)])] }
    case 5:
    case 6:
    case 7:
      return length > 0 ? { path, op: 'delete', args: [at, length] } : null
    case 8:
    case 9:
      return length > 0 ? { path, op: 'format', args: [at, length, random.of(FORMATS)] } : null
    case 10: {
      const content = random.chance(30) && path.length < DEPTH_MAX ? fresh(random, 1) : random.of(EMBEDS)
      return { path, op: 'embed', args: [at, content, random.of([{}, {}, positive(random)])] }
    }
    default: {
      const middle = random.chance(50) ? [{ delete: length }] : [{ retain: length, attributes: random.of(FORMATS) }]
      const steps = [{ retain: at }, ...length > 0 ? middle : [], ...words(random)].filter(step => step.retain !== 0)
      return { path, op: 'applyDelta', args: [steps] }
    }
  }
}

function sequenceEdit(random, side, { path, node, kind }) {
  const { length } = side.items(node)
  const at = random.below(length + 1)
  if (length > 0 && random.chance(25)) {
    const from = random.below(length)
    return { path, op: 'delete', args: [from, 1 + random.below(Math.min(3, length - from))] }
  }
  const item = () => {
    if (kind !== 'array') return child(random, 1)
    return random.chance(40) && path.length <= DEPTH_MAX ? fresh(random, 1) : plain(random)
  }
  return { path, op: 'insert', args: [at, Array.from({ length: 1 + random.below(3) }, item)] }
}

function entryEdit(random, { path }) {
  const key = random.of(KEYS)
  if (random.chance(20)) return { path, op: 'unset', args: [key] }
  const value = random.chance(35) && path.length <= DEPTH_MAX ? fresh(random, 2) : plain(random)
  return { path, op: 'set', args: [key, value] }
}

/** An edit that fits the document now. */
export function choose(random, side, doc, options) {
  for (;;) {
    const where = target(random, side, doc)
    const isText = where.kind === 'text' || where.kind === 'xmlText'
    const hasEntries = where.kind === 'map' || (where.kind === 'element' && random.chance(30))
    const edit = isText
      ? textEdit(random, side, where, options)
      : hasEntries ? entryEdit(random, where) : sequenceEdit(random, side, where)
    if (edit !== null) return edit
  }
}

/** Makes an edit. */
export function perform(side, doc, { path, op, args }) {
  const node = find(side, doc, path)
  switch (op) {
    case 'insertText':
      return node.insert(...args)
    case 'delete':
    case 'format':
      return node[op](...args)
    default:
      return side[op](node, ...args)
  }
}

