// Calls at most once per animation frame.
const FRAME_MS = 16;
const HIDDEN_MS = 1_000;
/** Calls a function in the next animation frame; soon, where nothing is drawn. */
export class FrameSchedule {
    #cancel;
    #call;
    constructor(call) {
        this.#call = call;
    }
    request() {
        if (this.#cancel !== undefined)
            return;
        const run = () => {
            this.cancel();
            this.#call();
        };
        // Hidden pages get no frames, but their listeners may do more than draw.
        const isVisible = typeof document !== 'undefined' && document.visibilityState === 'visible';
        // A page may be hidden before its next frame comes.
        const timer = setTimeout(run, isVisible ? HIDDEN_MS : FRAME_MS);
        const frame = isVisible ? requestAnimationFrame(run) : undefined;
        this.#cancel = () => {
            clearTimeout(timer);
            if (frame !== undefined)
                cancelAnimationFrame(frame);
        };
    }
    cancel() {
        this.#cancel?.();
        this.#cancel = undefined;
    }
}
//# sourceMappingURL=frame.js.map