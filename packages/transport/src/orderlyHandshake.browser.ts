/** Browsers order their handshakes themselves. */
export function orderHandshakes(): void {}
