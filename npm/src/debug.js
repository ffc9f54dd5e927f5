// `client.debug()`: all that a developer needs when somebody says “it does not save”.
import { toDetails } from './error.js';
import { readConnection, readRoom, } from './figures.js';
import { version } from './version.js';
export function takeSnapshot(url, session, rooms) {
    const { module, restarts, error, figures } = session.debug();
    const snapshot = {
        version,
        at: Date.now(),
        url,
        module,
        restarts,
        error: error ? toDetails(error) : null,
        connection: figures && readConnection(figures),
        rooms: [...rooms].map(describeRoom),
    };
    return withoutSecrets(snapshot, url);
}
function describeRoom({ session, log, shares }) {
    // Asking lets the module see edits of this very task.
    const { saved } = session;
    const { view, figures } = session.debug();
    const { status, storage } = session;
    const events = Object.entries(session.listeners);
    // The log listens itself, to all but `saved`.
    const count = events.reduce((sum, [, listeners]) => sum + listeners.size, 1 - events.length);
    return {
        name: session.name,
        status: describeStatus(status),
        saved,
        storage: 'error' in storage ? { ...storage, error: toDetails(storage.error) } : storage,
        role: view.role,
        isLoaded: view.isLoaded,
        isSynced: view.isSynced,
        isOnDevice: view.isOnDevice,
        figures: figures && readRoom(figures),
        peers: session.peers.length,
        shares,
        listeners: count,
        events: log.events,
    };
}
function describeStatus(status) {
    switch (status.state) {
        case 'offline':
            return { ...status, error: status.error && toDetails(status.error) };
        case 'stopped':
            return { ...status, error: toDetails(status.error) };
        case 'disposed':
            // A handle may be; what all handles share is not.
            return { state: 'opening' };
        default:
            return status;
    }
}
/** A copy in which no text holds what may be a secret: parts of the address, or a signed token. */
function withoutSecrets(snapshot, url) {
    const { protocol, host, pathname } = new URL(url);
    const shown = `${protocol}//${host}${pathname}`;
    const clean = (_key, value) => typeof value === 'string'
        ? value.replaceAll(url, shown).replace(/\bey[\w-]+\.[\w-]+\.[\w-]+/g, '[token]')
        : value;
    return JSON.parse(JSON.stringify(snapshot, clean));
}
//# sourceMappingURL=debug.js.map