/** Keccak-256 as Ethereum uses it: SHA-3 before NIST changed the padding, so that node:crypto's `sha3-256` is another. */

const mask = (1n << 64n) - 1n;
const rotate = (lane: bigint, by: bigint): bigint => ((lane << by) | (lane >> (64n - by))) & mask;

/** Round constants (FIPS 202, section 3.2.5), from the shift register that defines them. */
const roundConstants = (() => {
  const constants: bigint[] = [];
  let register = 1;
  for (let round = 0; round < 24; round++) {
    let constant = 0n;
    for (let j = 0; j <= 6; j++) {
      if (register & 1) constant |= 1n << BigInt(2 ** j - 1);
      register = register & 0x80 ? ((register << 1) ^ 0x171) & 0xff : register << 1;
    }
    constants.push(constant);
  }
  return constants;
})();

function permute(state: bigint[]): void {
  for (const constant of roundConstants) {
    // θ
    const columns = [0, 1, 2, 3, 4].map(
      (x) => state[x]! ^ state[x + 5]! ^ state[x + 10]! ^ state[x + 15]! ^ state[x + 20]!,
    );
    for (let i = 0; i < 25; i++) state[i]! ^= columns[(i + 4) % 5]! ^ rotate(columns[(i + 1) % 5]!, 1n);
    // ρ and π
    let lane = state[1]!;
    for (let t = 0, x = 1, y = 0; t < 24; t++) {
      [x, y] = [y, (2 * x + 3 * y) % 5];
      const at = x + 5 * y;
      const moved = rotate(lane, BigInt((((t + 1) * (t + 2)) / 2) % 64));
      lane = state[at]!;
      state[at] = moved;
    }
    // χ
    for (let row = 0; row < 25; row += 5) {
      const lanes = state.slice(row, row + 5);
      for (let x = 0; x < 5; x++) state[row + x] = lanes[x]! ^ (~lanes[(x + 1) % 5]! & mask & lanes[(x + 2) % 5]!);
    }
    // ι
    state[0]! ^= constant;
  }
}

/** Bytes that one permutation takes in: 1600 bits less twice the digest's. */
const rateBytes = 136;

/** The hash of up to 135 bytes, in hexadecimal: more than any address has. */
export function keccak256(bytes: Uint8Array): string {
  if (bytes.length >= rateBytes) throw new RangeError(`at most ${rateBytes - 1} bytes, not ${bytes.length}`);
  const block = Buffer.alloc(rateBytes);
  block.set(bytes);
  block[bytes.length]! ^= 0x01;
  block[rateBytes - 1]! ^= 0x80;
  const state = new Array<bigint>(25).fill(0n);
  for (let i = 0; i < rateBytes / 8; i++) state[i] = block.readBigUInt64LE(i * 8);
  permute(state);
  const digest = Buffer.alloc(32);
  for (let i = 0; i < 4; i++) digest.writeBigUInt64LE(state[i]!, i * 8);
  return digest.toString('hex');
}
