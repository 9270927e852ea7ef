const counts = new Uint16Array(129);

/** Shannon's entropy of a folded text, in bits a character: random hexadecimal comes near 4, random base64 near 6. */
export function entropy(text: string): number {
  counts.fill(0);
  for (let i = 0; i < text.length; i++) counts[Math.min(text.charCodeAt(i), 128)]!++;
  let bits = 0;
  for (const count of counts) if (count > 0) bits -= (count / text.length) * Math.log2(count / text.length);
  return bits;
}
