// Names for the figures that the module gives for `client.debug()`, in its order.
const states = ['unneeded', 'waiting', 'connecting', 'greeting', 'open', 'stopped'];
export function readConnection(figures) {
    const [error, software, errorAt, state, since, retryAt, attempts, heardAt, answerBy, roundTrip, framesSent, bytesSent, framesReceived, bytesReceived, protocol, others, leads] = figures;
    return {
        state: states[number(state)] ?? 'open',
        since: time(since),
        retryAt: time(retryAt),
        attempts: number(attempts),
        lastError: timed(error, errorAt),
        heardAt: framesReceived === 0 ? null : time(heardAt),
        answerBy: time(answerBy),
        roundTrip: typeof roundTrip === 'number' ? roundTrip : null,
        sent: { frames: number(framesSent), bytes: number(bytesSent) },
        received: { frames: number(framesReceived), bytes: number(bytesReceived) },
        relay: typeof software === 'string' ? { software, protocol: number(protocol) } : null,
        tabs: { others: number(others), isLeader: leads === 1 },
    };
}
export function readRoom(figures) {
    const [degraded, attempts, last, device, accepted, durable, updates, bytes, flushes, epoch, sequence, client, clients, elements, records, recordBytes, snapshotBytes, writesWaiting, writesUnderWay, ...lineage] = figures;
    return {
        attempts: number(attempts),
        degraded: details(degraded),
        edits: {
            last: number(last),
            device: number(device),
            accepted: number(accepted),
            durable: number(durable),
        },
        outbox: { updates: number(updates), bytes: number(bytes) },
        flushes: number(flushes),
        position: { epoch: number(epoch), sequence: number(sequence) },
        lineage: lineage.map(byte => number(byte).toString(16).padStart(2, '0')).join('') || null,
        document: { client: number(client), clients: number(clients), elements: number(elements) },
        device: {
            records: number(records),
            recordBytes: number(recordBytes),
            snapshotBytes: number(snapshotBytes),
            writesWaiting: number(writesWaiting),
            isWriting: writesUnderWay === 1,
        },
    };
}
function number(figure) {
    return typeof figure === 'number' ? figure : 0;
}
/** The module's times count on the steady clock of the page. */
function time(figure) {
    return typeof figure === 'number' ? Math.round(Date.now() + figure - performance.now()) : null;
}
function details(figure) {
    return typeof figure === 'string' ? JSON.parse(figure) : null;
}
function timed(error, at) {
    const read = details(error);
    return read && { at: time(at) ?? 0, error: read };
}
//# sourceMappingURL=figures.js.map