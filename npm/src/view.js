// What the wasm module tells of its rooms, in JSON.
export {};
//# sourceMappingURL=view.js.map