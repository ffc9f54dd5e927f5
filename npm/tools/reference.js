// Compares docs/reference.md, what each export is and does, with the comments in the source;
// `--write` rewrites it. An export without a comment is an error.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Extractor, ExtractorConfig } from '@microsoft/api-extractor'
import { ApiItemKind, ApiModel } from '@microsoft/api-extractor-model'

const root = fileURLToPath(new URL('..', import.meta.url))
const referencePath = join(root, '../docs/reference.md')
const { name, exports } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
const missing = []

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
  const isKnown = text !== '' || /^(dispose|constructor|\(constructor\)|\[Symbol)/.test(member.displayName)
  if (!isKnown && owner.kind === ApiItemKind.Class) missing.push(`${owner.displayName}.${member.displayName}`)
  const signature = `\`${signatureOf(member).replace(/\s+/g, ' ').replace(/;$/, '')}\``
  return `- ${signature}${text === '' ? '' : `  \n  ${text.replace(/\n/g, '\n  ')}`}`
}

function describe(item) {
  const text = textOf(item)
  if (text === '') missing.push(item.displayName)
  const parts = [`### ${headings[item.kind] ?? ''} ${item.displayName}`.replace('  ', ' '), text]
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
    const items = [...await exportsOf(types, folder)].filter(item => !known.has(item.displayName))
    items.forEach(item => known.add(item.displayName))
    parts.push(`## \`${name}${path.slice(1)}\``)
    if (items.length === 0) parts.push('The same exports, from another file.')
    for (const item of items) parts.push(...describe(item))
  }
  return `${parts.filter(part => part !== '').join('\n\n')}\n`
}

const folder = await mkdtemp(join(tmpdir(), 'coweave-reference-'))
const built = await reference(folder).finally(() => rm(folder, { recursive: true }))
if (missing.length > 0) {
  console.error(`these exports have no comment: ${missing.join(', ')}`)
  process.exitCode = 1
} else if (process.argv.includes('--write')) {
  await writeFile(referencePath, built)
} else if ((await readFile(referencePath, 'utf8').catch(() => '')) !== built) {
  console.error('the comments in npm/src are not those of docs/reference.md: run `cargo xtask api`')
  process.exitCode = 1
}
