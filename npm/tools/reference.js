// Compares docs/reference.md, what each export is and does, with the comments in the source;
// `--write` rewrites it. Errors are an export or a member without a comment, a code that there is not,
// and a method that changes a document and does not say what it throws.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Extractor, ExtractorConfig } from '@microsoft/api-extractor'
import { ApiItemKind, ApiModel } from '@microsoft/api-extractor-model'

const root = fileURLToPath(new URL('..', import.meta.url))
const referencePath = join(root, '../docs/reference.md')
const { name, exports } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
/** Every code of the core: `Variant = "text", Fault, retry;`. */
const table = await readFile(join(root, '../core/src/error.rs'), 'utf8')
const codes = [...table.matchAll(/^ +\w+ = "([\w.]+)", \w+, (?:true|false);$/gm)].map(([, code]) => code)
const problems = []
/** Of all exports so far, as `room.loaded`. */
const members = new Set()

/** What only looks at a document, or ends something; each other method of these classes is a change, or may be. */
const documents = ['DocParts', 'Doc', 'PastDoc', 'SharedNode', 'SharedSequence', 'Text', 'SharedMap', 'SharedArray',
  'XmlParent', 'XmlFragment', 'XmlElement', 'XmlText', 'Undo']
const readers = ['toString', 'toJSON', 'toDelta', 'toXml', 'toArray', '[Symbol.iterator]', 'get', 'has', 'keys', 'entries',
  'children', 'attributes', 'getAttribute', 'text', 'map', 'array', 'xml', 'resolve', 'snapshot', 'encodeState',
  'encodeStateVector', 'subscribe', 'subscribeDeep', 'on', 'stop', 'clear', 'dispose']

/** The exports of an entry, with their comments. */
async function exportsOf(types, folder) {
  const modelPath = join(folder, 'entry.api.json')
  const config = ExtractorConfig.prepare({
    configObject: {
      mainEntryPointFilePath: join(root, types),
      projectFolder: root,
      newlineKind: 'lf',
      compiler: { tsconfigFilePath: join(root, 'tsconfig.json'), skipLibCheck: true },
      apiReport: { enabled: false, reportFileName: 'entry.api.md' },
      docModel: { enabled: true, apiJsonFilePath: modelPath },
      dtsRollup: { enabled: false },
      tsdocMetadata: { enabled: false },
      messages: { extractorMessageReporting: { default: { logLevel: 'none' } } },
    },
    configObjectFullPath: undefined,
    packageJsonFullPath: join(root, 'package.json'),
  })
  Extractor.invoke(config, { localBuild: true, messageCallback: message => { message.handled = true } })
  return new ApiModel().loadPackage(modelPath).entryPoints[0].members
}

/** What a comment says, without the stars. */
function textOf(item) {
  const comment = item.tsdocComment?.emitAsTsdoc() ?? ''
  const lines = comment.replace(/^\/\*\*|\*\/\s*$/g, '').split('\n').map(line => line.replace(/^\s*\* ?/, '').trim())
  return lines.join('\n').trim()
}

/** The name under which it is exported: the extractor numbers those that the browser has, too. */
function nameOf(item) {
  const name = item.displayName.replace(/_\d+$/, '')
  return new RegExp(`\\b${name}\\b`).test(item.excerpt.text) ? name : item.displayName
}

/**
 * What is wrong in a comment: nothing in it, or a code that there is not. `room.loaded` looks like one, so it has to
 * be a member of `Room` then.
 */
function check(text, title) {
  if (text === '') problems.push(`${title} has no comment`)
  for (const [, area, reason] of text.matchAll(/`([a-z]+)\.([a-z_]+)\b[^`]*`/g)) {
    const isArea = codes.some(code => code.startsWith(`${area}.`))
    if (isArea && !codes.includes(`${area}.${reason}`) && !members.has(`${area}.${reason}`)) {
      problems.push(`${title} names ${area}.${reason}, which is neither an error code nor a member`)
    }
  }
}

function signatureOf(item) {
  return item.excerpt.text.replace(/^export (declare )?/, '').replace(/\s+$/, '')
}

const headings = {
  [ApiItemKind.Class]: 'class',
  [ApiItemKind.Interface]: 'interface',
  [ApiItemKind.Function]: 'function',
  [ApiItemKind.TypeAlias]: 'type',
  [ApiItemKind.Variable]: 'constant',
}

/** A member of a class or an interface. */
function describeMember(member, owner) {
  const text = textOf(member)
  const title = `${nameOf(owner)}.${member.displayName}`
  check(text, title)
  const isChange = member.kind === ApiItemKind.Method
    && documents.includes(nameOf(owner)) && !readers.includes(member.displayName)
  if (isChange && !/\bthrows\b/i.test(text)) problems.push(`${title} does not say what it throws`)
  const signature = `\`${signatureOf(member).replace(/\s+/g, ' ').replace(/;$/, '')}\``
  return `- ${signature}${text === '' ? '' : `  \n  ${text.replace(/\n/g, '\n  ')}`}`
}

function describe(item) {
  const text = textOf(item)
  check(text, nameOf(item))
  const parts = [`### ${headings[item.kind] ?? ''} ${nameOf(item)}`.replace('  ', ' '), text]
  if (item.kind !== ApiItemKind.Class && item.kind !== ApiItemKind.Interface) {
    parts.push(`\`\`\`ts\n${signatureOf(item)}\n\`\`\``)
    return parts
  }
  parts.push(`\`\`\`ts\n${signatureOf(item)}\n\`\`\``)
  const members = item.members.filter(member => member.kind !== ApiItemKind.Constructor)
  if (members.length > 0) parts.push(members.map(member => describeMember(member, item)).join('\n'))
  return parts
}

async function reference(folder) {
  const parts = [
    `# Reference of \`${name}\``,
    'Written by `cargo xtask api` from the comments in `npm/src`. Times are in milliseconds; indexes and lengths of'
    + ' texts count UTF-16 code units, as those of JavaScript strings. Errors are of the class `CoweaveError`; what'
    + ' to do about each code is in [the guide](guide/errors.md).',
  ]
  const known = new Set()
  for (const [path, target] of Object.entries(exports)) {
    const types = target.types ?? target.default?.types
    if (types === undefined) continue
    const all = await exportsOf(types, folder)
    for (const item of all) {
      for (const member of item.members) members.add(`${nameOf(item).toLowerCase()}.${member.displayName}`)
    }
    const items = all.filter(item => !known.has(item.displayName))
    items.forEach(item => known.add(item.displayName))
    parts.push(`## \`${name}${path.slice(1)}\``)
    if (items.length === 0) parts.push('The same exports, from another file.')
    for (const item of items) parts.push(...describe(item))
  }
  return `${parts.filter(part => part !== '').join('\n\n')}\n`
}

const folder = await mkdtemp(join(tmpdir(), 'coweave-reference-'))
const built = await reference(folder).finally(() => rm(folder, { recursive: true }))
const absent = documents.filter(name => !built.includes(`\n### class ${name}\n`))
if (codes.length === 0 || absent.length > 0) problems.push(`not found: the error codes, or ${absent.join(', ')}`)
if (problems.length > 0) {
  console.error(problems.join('\n'))
  process.exitCode = 1
} else if (process.argv.includes('--write')) {
  await writeFile(referencePath, built)
} else if ((await readFile(referencePath, 'utf8').catch(() => '')) !== built) {
  console.error('the comments in npm/src are not those of docs/reference.md: run `cargo xtask api`')
  process.exitCode = 1
}
