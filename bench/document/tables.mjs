// The tables of what was measured: each library beside yjs, and the goals.

import { printLines } from '../client/table.mjs'

const US = { unit: 'µs' }
const MS = { unit: 'ms' }

/** Rows of each workload: what they say, their unit, and how much of yjs's figure we may need. */
const ROWS = {
  history: {
    title: 'Typing the history key by key, each with its update encoded',
    rows: { perKey: { title: 'per key', ...US, goal: 1 } },
  },
  sizes: {
    title: 'Typing the history key by key: what there is to send, and to name the version by',
    rows: {
      perUpdate: { title: 'an update', unit: 'B', goal: 1 },
      snapshot: { title: 'a snapshot (frontiers, heads)', unit: 'B', goal: 1 },
    },
  },
  places: {
    title: 'Typing in the large document that the history leaves, per key',
    rows: {
      start_p50: { title: 'start, p50', ...US },
      start_p99: { title: 'start, p99', ...US },
      middle_p50: { title: 'middle, p50', ...US, goal: 1 },
      middle_p99: { title: 'middle, p99', ...US },
      end_p50: { title: 'end, p50', ...US, goal: 1 },
      end_p99: { title: 'end, p99', ...US },
      anywhere_p50: { title: 'each key elsewhere, p50', ...US },
      anywhere_p99: { title: 'each key elsewhere, p99', ...US },
      backspace_p50: { title: 'backspace, middle, p50', ...US },
      backspace_p99: { title: 'backspace, middle, p99', ...US },
    },
  },
  remote: {
    title: 'Keys of somebody else in the middle of the large document',
    rows: {
      p50: { title: 'through the relay, p50', ...US, goal: 0.3 },
      p99: { title: 'through the relay, p99', ...US },
      brought_p50: { title: 'brought by the app, p50', ...US },
      brought_p99: { title: 'brought by the app, p99', ...US },
    },
  },
  observer: {
    title: 'Typing at the end of the large document, with the change told',
    rows: { p50: { title: 'per key, p50', ...US, goal: 0.3 }, p99: { title: 'per key, p99', ...US } },
  },
  small: {
    title: '6,000 edits of text in an empty document, warming up included',
    rows: {
      append: { title: 'append a character', ...US },
      insertAnywhere: { title: 'insert a character anywhere', ...US },
      insertWord: { title: 'insert a word anywhere', ...US },
      removeAnywhere: { title: 'insert words and remove', ...US },
    },
  },
  types: {
    title: '6,000 edits of maps and arrays in an empty document, warming up included',
    rows: {
      set: { title: 'set one of 100 keys of a map', ...US },
      push: { title: 'push to an array', ...US },
      insertEntry: { title: 'insert anywhere in an array', ...US },
      removeEntry: { title: 'insert and delete in an array', ...US },
      nest: { title: 'insert a map of two entries into an array', ...US },
      setNested: { title: 'set an entry of one of 100 such maps', ...US },
    },
  },
  read: {
    title: 'Reading a map of 100 entries, and an array of 1,000 maps',
    rows: {
      get: { title: 'an entry of the map', ...US },
      getNested: { title: 'an entry of a map in the array', ...US },
      toJson: { title: 'all to JSON, first time', ...MS },
    },
  },
  two: {
    title: 'Two people wrote 6,000 characters each at the same time',
    rows: { perUpdate: { title: 'merging, per update', ...US, goal: 0.4 } },
  },
  many: {
    title: '1,540 people wrote at the same place at the same time',
    rows: { perUpdate: { title: 'merging, per update', ...US } },
  },
  load: {
    title: 'The large document and its bytes',
    rows: {
      load: { title: 'loading', ...MS, goal: 0.3 },
      read: { title: 'reading the text, first time', ...MS },
      encode: { title: 'encoding the state', ...MS, goal: 0.7 },
      difference: { title: 'applying its second half', ...MS },
      bytes: { title: 'size of the state', unit: 'kB', goal: 1 },
    },
  },
  tree: {
    title: 'A tree of 3,000 paragraphs',
    rows: { toJson: { title: 'to JSON', ...MS, goal: 1 } },
  },
  memory: {
    title: 'Memory',
    rows: { perDocument: { title: 'a large document, loaded', unit: 'MB', goal: 1 } },
  },
}

/** Prints what a workload gave, a column for each library; some were measured only `once`. */
export function printTable(workload, libraries, results, once) {
  const { title, rows } = ROWS[workload]
  const keys = Object.keys(rows).filter(key => libraries.some(name => results[name][key] !== undefined))
  const lines = keys.map(key => {
    const values = libraries.map(name => results[name][key])
    return line(rows[key], values, libraries.map(name => remark(results[name][`${key}_part`], once.has(name))), libraries)
  })
  printLines(title, [['', ...libraries, 'coweave : yjs', 'goal'], ...lines])
}

function remark(part, isOnce) {
  const words = [...part === undefined ? [] : [part < 0.01 ? '< 1 %' : `${Math.floor(part * 100)} %`], ...isOnce ? ['once'] : []]
  return words.length === 0 ? '' : ` (${words.join(', ')})`
}

function line({ title, unit, goal }, values, remarks, libraries) {
  const cells = values.map((value, index) => value === undefined ? '-' : `${format(value)}${remarks[index]}`)
  const of = name => values[libraries.indexOf(name)]
  const ratio = of('coweave') === undefined || of('yjs') === undefined ? undefined : of('coweave') / of('yjs')
  const verdict = goal === undefined ? '' : `≤ ${goal}${ratio === undefined ? '' : ratio <= goal ? ' reached' : ' missed'}`
  return [`${title}, ${unit}`, ...cells, ratio === undefined ? '-' : ratio.toFixed(2), verdict]
}

function format(value) {
  return value.toLocaleString('en', { maximumFractionDigits: value < 10 ? 2 : value < 100 ? 1 : 0 })
}
