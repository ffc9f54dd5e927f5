// One of several processes: `node main.js <relay> <own word> <number of words to wait for>`.
import { connect } from 'coweave'

const [relay, word, count] = process.argv.slice(2)
const client = connect(relay)
const room = client.room('notes/today')
await room.synced
const body = room.doc.text('body')
const words = () => body.toString().split(' ').filter(word => word !== '')
const complete = new Promise(resolve => {
  body.subscribe(() => {
    if (words().length === Number(count)) resolve()
  })
})
body.insert(0, `${word} `)
await complete
await room.flush()
console.log(words().sort().join(' '))
client.dispose()
