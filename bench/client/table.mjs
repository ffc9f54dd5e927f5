// Tables of what was measured, ours against the other.

/** Prints rows `{ title, unit, values }`, a value for each stack, with the ratio of the first to the second. */
export function printTable(title, stacks, rows) {
  const lines = [
    ['', ...stacks.map(stack => stack.title), 'ratio'],
    ...rows.map(({ title, unit, values }) => (
      [title, ...values.map(value => `${format(value)} ${unit}`), `${(values[0] / values[1]).toFixed(2)}×`]
    )),
  ]
  printLines(title, lines)
}

/** Prints cells in columns, the first one to the left. */
export function printLines(title, lines) {
  const widths = lines[0].map((_, column) => Math.max(...lines.map(line => line[column].length)))
  console.log(`\n## ${title}\n`)
  for (const line of lines) {
    const cells = line.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column])))
    console.log(`  ${cells.join('   ')}`)
  }
}

function format(value) {
  return value.toLocaleString('en', { maximumFractionDigits: value < 100 ? 1 : 0 })
}
