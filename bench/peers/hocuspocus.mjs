// Runs @hocuspocus/server as it comes: HOST and PORT say where it listens.

import { Server } from '@hocuspocus/server'

const server = new Server({ address: process.env.HOST, port: Number(process.env.PORT), quiet: true })
await server.listen()
