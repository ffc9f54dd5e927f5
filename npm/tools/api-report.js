// Compares api.md, the public interface of every entry, with what was built; `--write` rewrites it.
import { spawnSync } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Extractor, ExtractorConfig } from '@microsoft/api-extractor'

const root = fileURLToPath(new URL('..', import.meta.url))
const reportPath = join(root, 'api.md')
const { name, exports } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))

/** Each entry of the package, once for each condition, `default` first: its title, and its file or declarations. */
function* entriesOf(exports) {
  for (const [path, target] of Object.entries(exports)) {
    const title = `\`${name}${path.slice(1)}\``
    if (typeof target === 'string') yield { title, file: target }
    else if ('types' in target) yield { title, types: target.types }
    else {
      for (const [condition, { types }] of Object.entries(target).reverse()) {
        yield { title: condition === 'default' ? title : `${title} with the condition \`${condition}\``, types }
      }
    }
  }
}

/** The declarations that can be reached from an entry, sorted by their names. */
async function declarationsOf(types, folder) {
  const config = ExtractorConfig.prepare({
    configObject: {
      mainEntryPointFilePath: join(root, types),
      projectFolder: root,
      newlineKind: 'lf',
      compiler: { tsconfigFilePath: join(root, 'tsconfig.json'), skipLibCheck: true },
      apiReport: {
        enabled: true,
        reportFileName: 'entry.api.md',
        reportFolder: folder,
        reportTempFolder: folder,
        includeForgottenExports: true,
      },
      docModel: { enabled: false },
      dtsRollup: { enabled: false },
      tsdocMetadata: { enabled: false },
      messages: {
        extractorMessageReporting: {
          default: { logLevel: 'warning' },
          // Everything is public, some names say enough, and what types are made of is in the report.
          'ae-missing-release-tag': { logLevel: 'none' },
          'ae-forgotten-export': { logLevel: 'none' },
          'ae-undocumented': { logLevel: 'none' },
        },
      },
    },
    configObjectFullPath: undefined,
    packageJsonFullPath: join(root, 'package.json'),
  })
  Extractor.invoke(config, {
    localBuild: true,
    messageCallback(message) {
      const isProblem = ['warning', 'error'].includes(message.logLevel) && message.category !== 'console'
      if (isProblem) throw new Error(message.formatMessageWithLocation(root))
      message.handled = true
    },
  })
  const report = await readFile(join(folder, 'entry.api.md'), 'utf8')
  // What it remarks is true of everything here, or of nothing; and each word of a list has a line.
  const remark = /^ *\/\/ (@public.*|\(undocumented\)|\(No @packageDocumentation .*)\n/gm
  const text = /```ts\n(.*?)```/s.exec(report)[1].replace(remark, '').replace(/(?<=^const .*'), /gm, ',\n    ')
  return publicNames(text).trim()
}

/** The extractor numbers names that the browser has, too (`Text_2`), and exports them by their own at the end. */
function publicNames(text) {
  const numbered = [...text.matchAll(/^export \{ ((\w+)_\d+) as \2 \}\n/gm)]
  const exported = numbered.reduce((text, [line, name]) => (
    text.replace(line, '').replace(new RegExp(`^(?=(abstract )?\\w+ ${name}\\b)`, 'm'), 'export ')
  ), text)
  return exported.replace(/\b([A-Z]\w*?)_\d+\b/g, '$1')
}

async function report(folder) {
  const titles = new Map()
  const parts = [
    `# Public interface of \`${name}\`\n\nWritten by \`cargo xtask api\`; a difference to it is a change that users notice.`,
  ]
  for (const { title, file, types } of entriesOf(exports)) {
    parts.push(`## ${title}`)
    if (file !== undefined) {
      parts.push(`The file \`${file}\`.`)
      continue
    }
    const declarations = await declarationsOf(types, folder)
    if (/\bany\b/.test(declarations.replace(/\/\*.*?\*\/|\/\/.*?\n/gs, ''))) {
      throw new Error(`the public types of ${title} use any: name the type, or unknown`)
    }
    const same = titles.get(declarations)
    titles.set(declarations, same ?? title)
    parts.push(same === undefined ? `\`\`\`ts\n${declarations}\n\`\`\`` : `The same as ${same}.`)
  }
  return `${parts.join('\n\n')}\n`
}

const folder = await mkdtemp(join(tmpdir(), 'coweave-api-'))
const built = await report(folder).finally(() => rm(folder, { recursive: true }))
if (process.argv.includes('--write')) {
  await writeFile(reportPath, built)
} else if ((await readFile(reportPath, 'utf8').catch(() => '')) !== built) {
  spawnSync('git', ['--no-pager', 'diff', '--no-index', '--no-color', reportPath, '-'], {
    input: built,
    stdio: ['pipe', 'inherit', 'inherit'],
  })
  console.error('the public interface is not that of npm/api.md: run `cargo xtask api`, and read what it changes')
  process.exitCode = 1
}
