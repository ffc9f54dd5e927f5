// Changes of texts, and those of sequences, as apps see and make them.
export {};
//# sourceMappingURL=delta.js.map