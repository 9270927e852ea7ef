import { hash } from 'node:crypto';

/** Those of Crockford's base32 but 0 and 1: no letter or digit that looks like another. */
const alphabet = '23456789ABCDEFGHJKMNPQRSTVWXYZ';

/**
 * What the page of a sign-in and the terminal that began it both show, so that a person can see that they belong together:
 * whoever sends others a link of his own cannot make their terminal show its code. Eight characters, `ABCD-EFGH`.
 *
 * @param codeChallenge S256 (RFC 7636)
 */
export function signInCode(codeChallenge: string): string {
  const digest = hash('sha256', `sallyport sign-in code\n${codeChallenge}`, 'buffer');
  let number = digest.readBigUInt64BE();
  let code = '';
  for (let n = 0; n < 8; n++) {
    code += alphabet.charAt(Number(number % BigInt(alphabet.length)));
    number /= BigInt(alphabet.length);
  }
  return `${code.slice(0, 4)}-${code.slice(4)}`;
}
