// What a room holds, outside of the wasm module: another instance can go on from it.
/** The log becomes one update beyond these, as on the device. */
const FOLD_COUNT_MIN = 500;
const FOLD_BYTES_MIN = 256 << 10;
/** The updates that make up the document, in order. */
export class RoomLog {
    #entries = [];
    /** How many the app was told of. */
    #told = 0;
    /** Edits that the module has not put into an entry yet. */
    #edits = [];
    #lineage = new Uint8Array();
    #epoch = 0;
    /** Of all entries since the document was one update. */
    #bytes = 0;
    #foldedBytes = 0;
    // ---- what the module says; its memory is only lent ---------------------------------------------
    edited(update) {
        this.#edits.push(update.slice());
    }
    own(number, update) {
        this.#edits = [];
        this.#add(update, number);
    }
    adopted(number, update) {
        this.#add(update, number);
    }
    other(update) {
        this.#add(update, 0);
    }
    durable(through) {
        for (const entry of this.#entries)
            if (entry.number <= through)
                entry.number = 0;
    }
    history(lineage, epoch) {
        this.#lineage = lineage.slice();
        this.#epoch = epoch;
    }
    #add(update, number) {
        this.#entries.push({ update: update.slice(), number });
        this.#bytes += update.length;
    }
    /** How many own edits are not known to be durable on the relay. */
    get pending() {
        return this.#edits.length + this.#entries.filter(({ number }) => number > 0).length;
    }
    // ---- what is made of it --------------------------------------------------------------------
    /** The app was told of all so far. */
    told() {
        this.#told = this.#entries.length;
    }
    /** Whether the log has grown so long that it should be folded; only when all of it was told. */
    get isLong() {
        const isLong = this.#told >= FOLD_COUNT_MIN || this.#bytes >= FOLD_BYTES_MIN;
        return isLong && this.#bytes * 2 >= this.#foldedBytes && this.#edits.length === 0;
    }
    /** The whole document takes the place of all that is not pending. */
    fold(document) {
        const pending = this.#entries.filter(({ number }) => number > 0);
        this.#entries = [{ update: document, number: 0 }, ...pending];
        this.#told = this.#entries.length;
        this.#bytes = 0;
        this.#foldedBytes = document.length;
    }
    /**
     * Brings everything to a room of another instance, which begins a log of its own with it.
     * `observe` is called in between: what comes then is news to the app.
     */
    restore(room, observe) {
        for (const { update, number } of this.#entries.slice(0, this.#told)) {
            room.restore(update, number > 0, false);
        }
        room.restored(this.#lineage, this.#epoch);
        observe();
        for (const { update, number } of this.#entries.slice(this.#told)) {
            room.restore(update, number > 0, true);
        }
        for (const edit of this.#edits)
            room.restore(edit, true, true);
    }
}
//# sourceMappingURL=room-log.js.map