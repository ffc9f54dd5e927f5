// By what a relay knows a browser again.
const BYTES = 16;
/** A key for a session that is alone. */
export function ownKey() {
    return { bytes: crypto.getRandomValues(new Uint8Array(BYTES)), isShared: false };
}
/** The key of this browser for one relay and user, or an own one where nothing can be kept. */
export function browserKey(owner) {
    const own = ownKey();
    // Where there is no page there are no other tabs, and to touch a process's storage may cost a warning.
    if (!('document' in globalThis))
        return own;
    try {
        const name = `coweave.session ${owner}`;
        const kept = localStorage.getItem(name) ?? '';
        if (!isKey(kept))
            localStorage.setItem(name, toHex(own.bytes));
        // Another tab may have kept one at the same moment: the one that is there counts.
        const shared = localStorage.getItem(name) ?? '';
        if (isKey(shared))
            return { bytes: fromHex(shared), isShared: true };
    }
    catch {
        // Forbidden or full: this tab is a session of its own.
    }
    return own;
}
/** As the name of something that only those share who have the same key. */
export function toHex(bytes) {
    return [...bytes].map(byte => byte.toString(16).padStart(2, '0')).join('');
}
function fromHex(digits) {
    return new Uint8Array(BYTES).map((_, at) => Number.parseInt(digits.slice(2 * at, 2 * at + 2), 16));
}
function isKey(digits) {
    return /^([0-9a-f]{2}){16}$/.test(digits);
}
//# sourceMappingURL=session-key.js.map