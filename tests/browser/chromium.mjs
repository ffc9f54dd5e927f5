// Starts Debian's Chromium for the tests; `COWEAVE_CHROMIUM` names another one.

import { chromium } from 'playwright-core'

const ARGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync',
]

export function launchChromium() {
  return chromium.launch({ executablePath: process.env.COWEAVE_CHROMIUM ?? '/usr/bin/chromium', args: ARGS })
}
