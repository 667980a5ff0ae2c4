// How large the long proofs are. `./cortex test long` runs them whole; any other run takes a tenth, so that all tests together stay short.
//
// CORTEX_TEST_SIZE: the share, 1 for the whole.
const share = Number(process.env.CORTEX_TEST_SIZE ?? 0.1);
export const isWhole = share >= 1;

export const size = (whole) => Math.max(1, Math.round(whole * share));

// A time limit that is right for a tenth, and grows with the size.
export const within = (ms) => ms * Math.max(1, share * 10);
