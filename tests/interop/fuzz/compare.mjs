// What a document holds, written the same way for Yjs and the package.

import * as Y from 'yjs'

import { OBJECT, ROOTS, coweave, yjs } from './sides.mjs'

/** A value as text that is equal for equal values. */
export function canon(side, value) {
  const list = values => `[${values.map(item => canon(side, item)).join(',')}]`
  const object = entries => {
    const keys = Object.keys(entries).sort()
    return `{${keys.map(key => `${JSON.stringify(key)}:${canon(side, entries[key])}`).join(',')}}`
  }
  switch (side.kind(value)) {
    case 'map':
      return `map${object(side.entries(value))}`
    case 'array':
      return `array${list(side.items(value))}`
    case 'fragment':
      return `fragment${list(side.items(value))}`
    case 'element':
      return `<${side.name(value)}>${object(side.entries(value))}${list(side.items(value))}`
    case 'text':
    case 'xmlText':
      return `${side.kind(value)}${delta(side, side.delta(value))}`
    default:
  }
  if (value instanceof Y.Doc) return 'document'
  if (value instanceof Uint8Array) return `bytes(${[...value].join()})`
  if (typeof value === 'bigint') return `${value}n`
  if (Array.isArray(value)) return list(value)
  // A text in a tree as JSON; no value of these tests has such a key.
  if (Array.isArray(value?.delta)) return delta(side, value.delta)
  if (typeof value === 'object' && value !== null) return object(value)
  return typeof value === 'string' ? JSON.stringify(value) : String(value)
}

/**
 * The steps of a delta: neighbors that can be one are one, what is inserted where something is deleted comes first,
 * and formats that say nothing are left out.
 */
export function delta(side, steps) {
  const parts = []
  const kindOf = step => ['insert', 'delete', 'retain'].find(name => step[name] !== undefined)
  const ordered = []
  for (const step of steps) {
    let at = ordered.length
    while (kindOf(step) === 'insert' && at > 0 && kindOf(ordered[at - 1]) === 'delete') at -= 1
    ordered.splice(at, 0, step)
  }
  for (const step of ordered) {
    const attributes = step.attributes && Object.keys(step.attributes).length > 0 ? canon(side, step.attributes) : ''
    const last = parts.at(-1)
    const kind = kindOf(step)
    let content = step[kind]
    if (kind === 'insert') {
      if (Array.isArray(content)) content = content.map(item => canon(side, item)).join(',')
      else content = typeof content === 'string' ? content : `(${canon(side, content)})`
    }
    const isText = typeof step.insert === 'string'
    if (last?.kind === kind && last.attributes === attributes && last.isText === isText) {
      last.content = typeof content === 'number' ? last.content + content : `${last.content}${isText ? '' : ','}${content}`
    } else {
      parts.push({ kind, attributes, content, isText })
    }
  }
  while (parts.at(-1)?.kind === 'retain' && parts.at(-1).attributes === '') parts.pop()
  return `[${parts.map(({ kind, content, attributes }) => `${kind} ${JSON.stringify(content)}${attributes}`).join('; ')}]`
}

/** A text as a string; what is embedded counts one. */
export function units(side, text) {
  return side.delta(text).map(({ insert }) => (typeof insert === 'string' ? insert : OBJECT)).join('')
}

/** Whether a shared type is an attribute somewhere inside: the package writes it in another way. */
function hasSharedAttribute(side, node) {
  const kind = side.kind(node)
  if (kind === 'element' && Object.values(side.entries(node)).some(value => side.kind(value) !== null)) return true
  const inside = kind === 'element' || kind === 'fragment'
    ? side.items(node)
    : kind === 'text' || kind === 'xmlText' ? side.delta(node).map(({ insert }) => insert) : []
  return inside.some(item => hasSharedAttribute(side, item))
}

/**
 * What `toJSON` gives in a room; Yjs gives the same, but for trees, which are markup there, and for what is embedded
 * in a text, which it leaves out.
 */
function json(side, node) {
  if (side === coweave) return node.toJSON()
  const inside = value => (yjs.kind(value) === null ? value : json(yjs, value))
  const items = () => yjs.items(node).map(inside)
  switch (yjs.kind(node)) {
    case 'map': {
      const shared = Object.entries(yjs.entries(node)).filter(([, value]) => yjs.kind(value) !== null)
      return { ...node.toJSON(), ...Object.fromEntries(shared.map(([key, value]) => [key, inside(value)])) }
    }
    case 'array':
      return node.toJSON().map((value, index) => (yjs.kind(node.get(index)) === null ? value : inside(node.get(index))))
    case 'text':
      return units(yjs, node)
    case 'xmlText':
      return { delta: yjs.delta(node).map(({ insert, ...step }) => ({ insert: inside(insert), ...step })) }
    case 'fragment':
      return items()
    default: {
      const attributes = Object.entries(yjs.entries(node)).map(([key, value]) => [key, inside(value)])
      return { name: node.nodeName, attributes: Object.fromEntries(attributes), children: items() }
    }
  }
}

/** Everything that two documents have to agree in. */
export function view(side, doc) {
  const parts = Object.keys(ROOTS).flatMap(name => {
    const node = side.root(doc, name)
    return [[name, canon(side, node)], [`${name} as JSON`, canon(side, json(side, node))]]
  })
  const vector = [...Y.decodeStateVector(side.stateVector(doc))].sort(([a], [b]) => a - b)
  const xml = side.root(doc, 'xml')
  // What is embedded in a text that is embedded stands in the string of a room only.
  // Where Yjs writes a format again that is there already, because a list is in its value, one text looks like two.
  const markup = hasSharedAttribute(side, xml)
    ? 'not compared'
    : side.xml(xml).replaceAll(OBJECT, '').replaceAll('</link><link as="1" to="x">', '')
  return Object.fromEntries([...parts, ['markup', markup], ['vector', vector.join(' ')]])
}
