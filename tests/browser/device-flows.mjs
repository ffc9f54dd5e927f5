// What runs in a page whose database fails: calls that throw, and flows that together make every one of them.

/** Makes the calls of IndexedDB countable, and fail when `faults.at` or a later one is reached. */
export function installFaults() {
  const faults = {
    /** How many calls were made, which one fails, and the name of the first that did. */
    calls: 0, at: Infinity, hit: null,
    /** 'once', 'from then on', or 'abort': the call goes well, but its transaction does not. */
    how: 'once',
    /** While a test looks itself. */
    isOff: false,
    /** Stores whose rows can be read one by one only. */
    unreadable: [],
    /** What else is to happen when a call fails. */
    onHit: null,
    writing: 0, databases: [],
  }
  window.faults = faults
  const isHit = name => {
    if (faults.isOff || faults.how === 'abort' && name !== 'transaction') return false
    faults.calls += 1
    const isHit = faults.how === 'from then on' ? faults.calls >= faults.at : faults.calls === faults.at
    if (isHit) {
      faults.hit ??= name
      faults.onHit?.()
    }
    return isHit
  }
  const fail = name => { throw new DOMException(`the call ${name} fails`, 'UnknownError') }
  const wrap = (owner, name) => {
    const original = owner[name]
    owner[name] = function (...given) {
      if (isHit(name)) fail(name)
      if (name === 'getAll' && faults.unreadable.includes(this.name)) fail(name)
      return original.apply(this, given)
    }
  }
  // Whatever there is, but for what ends something, and what only tells.
  const harmless = ['constructor', 'close', 'abort', 'commit', 'cmp', 'databases', 'transaction']
  for (const { prototype } of [IDBFactory, IDBDatabase, IDBTransaction, IDBObjectStore, IDBIndex, IDBCursor]) {
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(prototype))) {
      if (typeof value === 'function' && !harmless.includes(name)) wrap(prototype, name)
    }
  }
  for (const name of ['only', 'bound', 'lowerBound', 'upperBound']) wrap(IDBKeyRange, name)
  const begin = IDBDatabase.prototype.transaction
  IDBDatabase.prototype.transaction = function (stores, mode, ...rest) {
    faults.writing += mode === 'readwrite' ? 1 : 0
    faults.databases.push(this)
    const hit = isHit('transaction')
    if (hit && faults.how !== 'abort') throw new DOMException('the connection is closed', 'InvalidStateError')
    const transaction = begin.call(this, stores, mode, ...rest)
    if (hit) queueMicrotask(() => transaction.abort())
    return transaction
  }
}

/** What somebody does in a page while a call fails: `walk({ flow, relay, how, at })`. */
export function installFlows() {
  const { faults } = window
  class NoSocket extends WebSocket {
    constructor() {
      super('ws://127.0.0.1:9')
    }
  }
  // What the device has is to come from there, not from another client of this page.
  delete window.BroadcastChannel

  const until = async (what, is) => {
    for (const end = performance.now() + 60_000; !is();) {
      if (performance.now() > end) throw new Error(`not within a minute: ${what}`)
      await new Promise(resolve => setTimeout(resolve, 1))
    }
  }
  const brief = texts => JSON.parse(JSON.stringify(texts).replaceAll(/x{9,}/g, ({ length }) => `x * ${length}`))
  const text = room => room.doc.text('body').toString()
  const type = (room, words) => room.doc.text('body').insert(text(room).length, words)
  const isWritten = client => client.debug().rooms.every(({ isOnDevice, figures }) =>
    isOnDevice && figures.device.writesWaiting === 0 && !figures.device.isWriting)

  /** Does something that no fault is meant for. */
  const inPeace = async act => {
    faults.isOff = true
    try {
      return await act()
    } finally {
      faults.isOff = false
    }
  }

  /** Uses a room as the device has it, and hears of nothing else. */
  const alone = ({ relay, user }, name, use) => inPeace(async () => {
    const client = window.coweave.connect(relay, { user, webSocket: NoSocket })
    const room = client.room(name)
    await room.loaded
    const result = await use(room)
    client.dispose()
    return result
  })
  const stored = it => alone(it, it.user, async room => {
    const copies = await room.copies()
    return { text: text(room), pending: room.saved.pending, copies: copies.map(copy => copy.text('body').length) }
  })
  /** Types into a room, and is gone before a relay hears of it. */
  const leave = (it, name, words) => alone(it, name, async room => {
    for (const word of words) {
      type(room, word)
      await until('it is on the device', () => room.saved.tier === 'device')
    }
  })
  /** As in a browser in which nobody was before. */
  const deleteDatabase = () => inPeace(() => new Promise((resolve, reject) => {
    localStorage.clear()
    Object.assign(indexedDB.deleteDatabase('coweave'), { onsuccess: resolve, onerror: reject })
  }))

  let friends
  /** A room as somebody has it who keeps nothing. */
  const friend = ({ relay }, name) => (friends ??= window.coweave.connect(relay, { storage: 'memory' })).room(name)

  /** What is said to be on the device is there, word by word. */
  const typeOffline = async it => {
    for (const word of ['one ', 'two ']) {
      type(it.room, word)
      await until('saved or lost', () => it.room.saved.tier !== 'memory' || it.room.storage.kind === 'lost')
      if (it.room.saved.tier !== 'device' || faults.calls < faults.at) continue
      const found = await stored(it)
      if (found.text !== text(it.room)) throw new Error(`${found.text} is on the device, said was ${text(it.room)}`)
    }
    return 'one two '
  }
  const typeOnline = async ({ room }, ...words) => {
    for (const word of words) {
      type(room, word)
      await room.flush()
    }
    return words.join('')
  }

  /** Types something between two words that the relay will not have. */
  const setAside = async ({ room }) => {
    let copy
    room.on('set-aside', told => (copy = told))
    type(room, 'x'.repeat(100_000))
    await until('it is set aside', () => copy !== undefined && room.status.state === 'live')
    type(room, 'two ')
    await room.flush()
    return copy
  }
  /** Whether it worked. */
  const drop = copy => copy.drop().then(() => true, error => {
    if (error.code !== 'device.unavailable') throw error
    return false
  })
  const dropAll = async ({ room }) => {
    for (const copy of await room.copies()) await copy.drop()
  }

  const flows = {
    'keeps what is typed offline in a new database': {
      isOffline: true,
      before: deleteDatabase,
      go: typeOffline,
    },

    'keeps it in a database of the first version': {
      isOffline: true,
      async before({ relay, user }) {
        await deleteDatabase()
        await inPeace(() => window.layOut({ room: `${relay}/\n${user}\n${user}`, given: window.given }))
        window.held.close()
      },
      async go(it) {
        return `kept pending ${await typeOffline(it)}`
      },
    },

    'keeps what goes to the relay, and notes that it is there': {
      go: it => typeOnline(it, 'one ', 'two '),
      async after(it) {
        const room = friend(it, it.user)
        await room.synced
        if (text(room) !== 'one two ') throw new Error(`others have ${text(room)}`)
        room.dispose()
      },
    },

    'folds what it keeps': {
      first: 'x'.repeat(270_000),
      go: it => typeOnline(it, 'one '),
      after({ client }) {
        const [{ figures: { device } }] = client.debug().rooms
        if (device.snapshotBytes < 270_000) throw new Error(JSON.stringify(device))
      },
    },

    // One row that the browser cannot read spoils its answer for all.
    'reads rows one by one': {
      async before(it) {
        await leave(it, it.user, ['left, ', 'and left, '])
        faults.unreadable = ['rows']
      },
      async go({ room }) {
        await room.flush()
        faults.unreadable = []
        return 'left, and left, '
      },
    },

    'brings what was left behind in another room': {
      async before(it) {
        it.left = friend(it, `${it.user}, left`)
        await leave(it, it.left.name, ['left behind'])
        await it.left.loaded
      },
      async go(it) {
        const isHopeless = () => faults.how === 'from then on' && faults.hit !== null
        await until('it is brought', () => text(it.left) === 'left behind' || isHopeless())
        return ''
      },
      async after(it) {
        // A room that is left is a reason to look.
        it.client.room('another').dispose()
        await until('it is brought in the end', () => text(it.left) === 'left behind')
        it.left.dispose()
      },
    },

    'sets a copy aside, and tells of it': {
      first: 'one ',
      async go(it) {
        const { length } = (await setAside(it)).text('body')
        const copies = await it.room.copies()
        const lengths = copies.map(copy => copy.text('body').length)
        if (length !== 100_004 || String(lengths) !== '100004') throw new Error(`told of ${length}, has ${lengths}`)
        return 'two '
      },
      async after(it) {
        const { copies } = await stored(it)
        if (String(copies) !== '100004') throw new Error(`the device has ${copies}`)
        await dropAll(it)
      },
    },

    'drops a copy that is on its way to the device': {
      first: 'one ',
      async go(it) {
        let [copy, dropping] = []
        const dropIt = () => (dropping ??= copy && drop(copy))
        it.room.on('set-aside', told => (copy = told))
        faults.onHit = () => setTimeout(dropIt)
        await setAside(it)
        it.isDropped = await dropIt()
        return 'two '
      },
      async after(it) {
        const { copies } = await stored(it)
        if (it.isDropped && copies.length > 0) throw new Error('a copy that was dropped is on the device')
        if (!it.isDropped && copies.length === 0) throw new Error('a copy that could not be dropped is gone')
        await dropAll(it)
      },
    },
  }

  window.walk = async ({ flow, relay, how, at }) => {
    const it = { relay, user: `${flow}, ${how}, ${at}` }
    const { isOffline = false, before, first, go, after } = flows[flow]
    await before?.(it)
    const begin = () => Object.assign(faults, { calls: 0, how, at, hit: null, onHit: null })
    if (first === undefined) begin()
    it.client = window.coweave.connect(relay, { user: it.user })
    it.room = it.client.room(it.user)
    const told = []
    for (const event of ['lost', 'restored', 'damaged']) it.room.on(`storage-${event}`, () => told.push(event))
    const isSaved = () => it.room.saved.tier === (isOffline ? 'device' : 'durable') && isWritten(it.client)
    await it.room.loaded
    if (first !== undefined) {
      await typeOnline(it, first)
      await until('it is all there', isSaved)
      begin()
    }
    const expected = (first ?? '') + await go(it)
    await until('written or lost', () => it.room.storage.kind === 'lost' || isWritten(it.client))
    const { calls, hit } = faults
    faults.at = Infinity
    // What failed may have to be brought again, and noted.
    await until('all is well again', () => {
      if (it.room.storage.kind === 'lost') window.dispatchEvent(new Event('online'))
      return it.room.storage.kind !== 'lost' && isSaved()
    })
    await after?.(it)
    const shown = text(it.room)
    it.client.dispose()
    const { text: found, pending, copies } = await stored(it)
    return { calls, hit, told, pending, copies, ...brief({ expected, shown, found }) }
  }
}
