// Why the package may write an update in other bytes than Yjs does; each reason has a test in bytes.test.mjs.

import * as Y from 'yjs'

import { Fresh, find, yjs } from './sides.mjs'

/** Whether a part of a content is true of something. */
function some(value, is) {
  if (is(value)) return true
  if (value instanceof Fresh) return some(value.content, is)
  return typeof value === 'object' && value !== null && Object.values(value).some(part => some(part, is))
}

/** Whether a value is an object of the app, and neither a step of a delta nor what an element is made of. */
function isObject(value) {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  return !(value instanceof Fresh) && !['insert', 'retain', 'delete', 'children'].some(name => Object.hasOwn(value, name))
}

/** The items of a part, deleted ones included. */
function* items(node) {
  for (let item = node._start; item !== null; item = item.right) yield item
}

/** Each is asked before the edit is made, with the part of Yjs's document that it changes. */
const REASONS = {
  bytes: args => some(args, value => value instanceof Uint8Array),
  'several keys': args => some(args, value => isObject(value) && Object.keys(value).length > 1),
  'a new type with formats': ([, content, formats]) => content instanceof Fresh && Object.keys(formats ?? {}).length > 0,
  marks: (args, node) => node instanceof Y.Text && [...items(node)].some(({ content }) => content instanceof Y.ContentFormat),
  'deleted entries': (args, node) => !(node instanceof Y.Text) && [...items(node)].some(({ deleted }) => deleted),
}

/** The reasons that hold for an edit which is about to be made. */
export function reasons(doc, { path, args }) {
  const node = find(yjs, doc, path)
  return Object.keys(REASONS).filter(name => REASONS[name](args, node))
}

/** Those for all edits of a transaction, by what was written. */
export function reasonsOfAll(edits, update) {
  const parts = new Set(edits.map(({ path: [name] }) => name))
  const writers = update === undefined ? 0 : Y.decodeUpdate(update).ds.clients.size
  return [
    ...parts.size < edits.length ? ['one part twice'] : [],
    ...writers > 1 ? ['deletions of several'] : [],
  ]
}
