// A limit for what the app is asked for.
/** What a promise gives, when it does so in time. */
export async function within(ms, promise) {
    let timer;
    const late = new Promise((_resolve, reject) => {
        timer = setTimeout(() => {
            reject(new Error(`no answer within ${String(ms)} ms`));
        }, ms);
    });
    try {
        return await Promise.race([promise, late]);
    }
    finally {
        clearTimeout(timer);
    }
}
//# sourceMappingURL=limit.js.map