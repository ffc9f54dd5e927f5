// Here the package is a link to its folder in this repository, which the dev server has to be allowed to
// read. An app that installs the package from a registry needs no configuration.

import { defineConfig } from 'vite'

export default defineConfig({
  server: { fs: { allow: ['.', '../../npm'] } },
})
